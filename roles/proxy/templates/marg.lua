-- A connection waits until exactly one server may take it, for 20 seconds at most. So a failover
-- is a pause and not an error; and after a start, while nobody has been checked yet and all count as
-- living, nobody writes to a replica.
core.register_action("wait_for_leader", { "tcp-req" }, function(txn, backend)
  for _ = 1, 200 do
    if txn.f:nbsrv(backend) == 1 then
      return
    end
    core.msleep(100)
  end
end, 1)
