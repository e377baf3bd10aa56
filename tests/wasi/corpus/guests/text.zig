//! Counts the words of the file `/data/text` by a hash map, hashes it, and parses JSON.
const std = @import("std");
const Io = std.Io;

pub fn main(init: std.process.Init) !void {
    const io = init.io;
    const arena = init.arena.allocator();
    var buffer: [512]u8 = undefined;
    var writer: Io.File.Writer = .init(.stdout(), io, &buffer);
    const out = &writer.interface;

    const work = switch (init.preopens.get("/data") orelse return error.NoFolder) {
        .dir => |dir| dir,
        .file => return error.NotAFolder,
    };
    const text = try work.readFileAlloc(io, "text", arena, .unlimited);
    var counts: std.StringHashMapUnmanaged(u32) = .empty;
    var words: std.ArrayList([]const u8) = .empty;
    var tokens = std.mem.tokenizeAny(u8, text, " \n");
    while (tokens.next()) |word| {
        const entry = try counts.getOrPut(arena, word);
        if (!entry.found_existing) {
            entry.value_ptr.* = 0;
            try words.append(arena, word);
        }
        entry.value_ptr.* += 1;
    }
    std.mem.sort([]const u8, words.items, {}, struct {
        fn less(_: void, a: []const u8, b: []const u8) bool {
            return std.mem.lessThan(u8, a, b);
        }
    }.less);
    for (words.items) |word| try out.print("{s}={} ", .{ word, counts.get(word).? });

    var digest: [32]u8 = undefined;
    std.crypto.hash.sha2.Sha256.hash("abc", &digest, .{});
    try out.print("\n{x}\n", .{&digest});

    const Item = struct { name: []const u8, size: f64, tags: []const []const u8 = &.{} };
    const items = try std.json.parseFromSliceLeaky([]Item, arena,
        \\[{"name":"a","size":1.5,"tags":["x","y"]},{"name":"b","size":-2e3}]
    , .{});
    for (items) |item| try out.print("{s} {d} {}\n", .{ item.name, item.size, item.tags.len });
    if (std.json.parseFromSliceLeaky([]Item, arena, "[{", .{})) |_| {} else |err| {
        try out.print("{t}\n", .{err});
    }
    try out.flush();
}
