-- Strings, tables, coroutines, errors, files: below the folder /data.
print(_VERSION, #arg, arg[1], arg[2])
print(os.getenv("NAME"), os.getenv("NONE"), os.execute() == true)

local words = {}
for word in ("the quick brown fox jumps over the lazy dog"):gmatch("%a+") do
  words[#words + 1] = word
end
table.sort(words)
print(table.concat(words, ","))

local function generate(n)
  return coroutine.wrap(function()
    for i = 1, n do coroutine.yield(i * i) end
  end)
end
local sum = 0
for value in generate(1000) do sum = sum + value end
print(sum, string.format("%.6f %5d|%-5s|%q", math.pi, 42, "ab", "a\nb"))

print(select(2, pcall(error, { code = 7 })).code)
print(select(2, pcall(function() local x = nil; return x.field end)))
print(select("#", pcall(string.rep, "x", -1)), select(2, pcall(string.rep)))
local depth = 0
local function recurse() depth = depth + 1; return 1 + recurse() end
print(pcall(recurse) == false and depth > 1000)
print(select(2, xpcall(function() error("deep", 0) end, function(m) return "handled " .. m end)))

local file = assert(io.open("/data/data.txt", "w"))
for i = 1, 1000 do file:write(i, " ", i % 7, "\n") end
file:close()
local total = 0
for line in io.lines("/data/data.txt") do total = total + tonumber(line:match(" (%d+)")) end
print(total)
file = io.open("/data/data.txt", "r+")
print(file:seek("end"), file:seek("set", 4), file:read("l"), file:read("n"))
file:close()
print(pcall(io.tmpfile) == false)
print(io.open("/data/none/x", "w"))
print(os.rename("/data/data.txt", "/data/kept.txt"), os.remove("/data/data.txt"))
print(os.time() > 1577836800, os.date("!%Y-%m-%d", 86400))
print(io.read("l"), io.read("n"), io.read("a"))
collectgarbage()
io.stderr:write("to standard error\n")
os.exit(tonumber(arg[1]))
