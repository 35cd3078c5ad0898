# look CLIENT…: what a server says of itself, one `key value` a line. Statements as rows of a
# vertical table; values may have several lines.
look() {
  timeout 5 "$@" --batch --vertical <<'MARG_SQL' 2> "$LOOK.err" > "$LOOK" || return 1
SELECT @@global.read_only AS read_only,
{% if mariadb %}
  @@global.gtid_current_pos AS executed,
  @@global.rpl_semi_sync_master_enabled AS semi_primary,
  (SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS
    WHERE VARIABLE_NAME = 'RPL_SEMI_SYNC_MASTER_CLIENTS') AS clients,
{% else %}
  @@global.gtid_executed AS executed,
  (SELECT VARIABLE_VALUE = 'ON' FROM performance_schema.global_variables
    WHERE VARIABLE_NAME = 'rpl_semi_sync_source_enabled') AS semi_primary,
  (SELECT VARIABLE_VALUE FROM performance_schema.global_status
    WHERE VARIABLE_NAME = 'Rpl_semi_sync_source_clients') AS clients,
{% endif %}
  (SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME NOT IN
    ('mysql', 'information_schema', 'performance_schema', 'sys')) AS schemata;
SHOW REPLICA STATUS;
MARG_SQL
  awk '
    function put() { if (key in wanted) print wanted[key], value }
    BEGIN {
      split("read_only executed semi_primary clients schemata", own, " ")
      for (i in own) wanted[own[i]] = own[i]
      wanted["Master_Host"] = wanted["Source_Host"] = "source"
      wanted["Slave_IO_Running"] = wanted["Replica_IO_Running"] = "io"
      wanted["Slave_SQL_Running"] = wanted["Replica_SQL_Running"] = "sql"
      wanted["Seconds_Behind_Master"] = wanted["Seconds_Behind_Source"] = "lag"
      wanted["Using_Gtid"] = wanted["Auto_Position"] = "auto"
      wanted["Gtid_IO_Pos"] = wanted["Retrieved_Gtid_Set"] = "received"
      wanted["Last_IO_Errno"] = "io_errno"; wanted["Last_IO_Error"] = "io_error"
      wanted["Last_SQL_Errno"] = "sql_errno"; wanted["Last_SQL_Error"] = "sql_error"
    }
    /^\*\*\*\*/ { next }
    match($0, /^ *[A-Za-z_]+:( |$)/) {
      put(); key = substr($0, 1, RLENGTH); sub(/^ */, "", key); sub(/:.*/, "", key)
      value = substr($0, RLENGTH + 1); next
    }
    { value = value $0 }
    END { put() }' "$LOOK"
}
