-- For wrk: GETs over the paths of a file, one after another from a given line on; without a file, of the URL itself.
--     wrk … -s clients.lua URL -- FILE FROM
-- Ends with a line of JSON.

local paths, at

function init(arguments)
  if arguments[1] == nil then return end
  paths = {}
  for path in io.lines(arguments[1]) do paths[#paths + 1] = path end
  at = tonumber(arguments[2])
  request = function()
    at = at + 1
    return wrk.format("GET", paths[(at - 1) % #paths + 1])
  end
  wrk.request = request
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "errors": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
