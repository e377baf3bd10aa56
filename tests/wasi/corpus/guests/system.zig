//! Arguments, environment, clocks, allocation and files below the folder `/data`.
const std = @import("std");
const Io = std.Io;

pub fn main(init: std.process.Init) !u8 {
    const io = init.io;
    const arena = init.arena.allocator();
    var buffer: [512]u8 = undefined;
    var writer: Io.File.Writer = .init(.stdout(), io, &buffer);
    const out = &writer.interface;

    const args = try init.minimal.args.toSlice(arena);
    for (args[1..]) |arg| try out.print("argument {s}\n", .{arg});
    try out.print("NAME={s}\n", .{init.environ_map.get("NAME") orelse "none"});

    const before = Io.Clock.awake.now(io);
    try io.sleep(.fromMilliseconds(10), .awake);
    const passed = before.durationTo(Io.Clock.awake.now(io));
    try out.print("slept {}\n", .{passed.toMilliseconds() >= 10});

    var list: std.ArrayList(u32) = .empty;
    for (0..1_000_000) |n| try list.append(init.gpa, @intCast(n));
    var sum: u64 = 0;
    for (list.items) |n| sum += n;
    list.deinit(init.gpa);
    try out.print("sum {}\n", .{sum});

    const work = switch (init.preopens.get("/data") orelse return error.NoFolder) {
        .dir => |dir| dir,
        .file => return error.NotAFolder,
    };
    try work.createDirPath(io, "a/b");
    try work.writeFile(io, .{ .sub_path = "a/b/file", .data = "some text" });
    const text = try work.readFileAlloc(io, "a/b/file", arena, .unlimited);
    try out.print("{s}\n", .{text});
    const stat = try work.statFile(io, "a/b/file", .{});
    try out.print("{} {t}\n", .{ stat.size, stat.kind });
    try work.rename("a/b/file", work, "moved", io);
    try work.symLink(io, "moved", "link", .{});
    var target: [64]u8 = undefined;
    const length = try work.readLink(io, "link", &target);
    try out.print("{s}\n", .{target[0..length]});
    if (work.openFile(io, "none", .{})) |_| {} else |err| try out.print("{t}\n", .{err});
    if (work.openFile(io, "../outside", .{})) |_| {} else |err| try out.print("{t}\n", .{err});
    if (work.deleteDir(io, "a")) |_| {} else |err| try out.print("{t}\n", .{err});

    var open = try work.openDir(io, ".", .{ .iterate = true });
    defer open.close(io);
    var names: std.ArrayList([]const u8) = .empty;
    var entries = open.iterate();
    while (try entries.next(io)) |entry| try names.append(arena, try arena.dupe(u8, entry.name));
    std.mem.sort([]const u8, names.items, {}, struct {
        fn less(_: void, a: []const u8, b: []const u8) bool {
            return std.mem.lessThan(u8, a, b);
        }
    }.less);
    for (names.items) |name| try out.print("{s} ", .{name});
    try out.print("\n", .{});
    try work.deleteTree(io, "a");

    var random: [2]u64 = undefined;
    io.random(std.mem.asBytes(&random));
    try out.print("random {}\n", .{random[0] != random[1]});
    try out.flush();
    return 7;
}
