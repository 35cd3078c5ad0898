-- A connection waits until exactly one server may take it and can be reached, for 20 seconds at most.
-- So a failover is a pause and not an error; and after a start, while nobody has been checked yet and
-- all count as living, nobody writes to a replica.
--
-- Whether the server can be reached is tried here, with a connection of its own, although haproxy tries
-- it again: connections that haproxy is still opening when their server is marked down are neither closed
-- nor sent elsewhere (seen with 3.0.11), and their clients would hang.

local SECONDS = 20

local function can_be_reached(backend)
  for _, server in pairs(core.backends[backend].servers) do
    if string.sub(server:get_stats().status, 1, 2) == "UP" then
      local address, port = string.match(server:get_addr(), "^(.*):(%d+)$")
      local socket = core.tcp()
      socket:settimeout(1)
      local connected = socket:connect(address, tonumber(port))
      socket:close()
      return connected ~= nil
    end
  end
  return false
end

core.register_action("wait_for_leader", { "tcp-req" }, function(txn, backend)
  local deadline = core.now().sec + SECONDS
  while core.now().sec < deadline do
    if txn.f:nbsrv(backend) == 1 and can_be_reached(backend) then
      return
    end
    core.msleep(100)
  end
end, 1)

-- A server that stands still keeps its connections open, and whoever waits for it waits as long. Once
-- it has been down for longer than a connection may take to be opened, those that it has are ended:
-- their applications try again, elsewhere. Not sooner, for the reason above.
--
-- So end, too, the connections of those who keep reading from a replica that has fallen behind.
local GRACE = 3

core.register_task(function()
  local since = {}
  while true do
    core.msleep(500)
    local now = core.now().sec
    for _, name in ipairs({ "mysql", "mysql-read" }) do
      local backend = core.backends[name]
      for _, server in pairs(backend and backend.servers or {}) do
        local key = name .. "/" .. server:get_name()
        if string.sub(server:get_stats().status, 1, 4) ~= "DOWN" then
          since[key] = nil
        else
          since[key] = since[key] or now
          if now - since[key] > GRACE then
            server:shut_sess()
          end
        end
      end
    end
  end
end)
