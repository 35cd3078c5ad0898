<?php

$options = [PDO::ATTR_TIMEOUT => (int) env('DB_TIMEOUT', 3)];

$mysql = [
    'driver' => 'mysql',
    'host' => env('DB_HOST', '127.0.0.1'),
    'port' => env('DB_PORT', '3306'),
    'database' => env('DB_DATABASE', 'klueportal'),
    'username' => env('DB_USERNAME', 'marg_user'),
    'password' => env('DB_PASSWORD', ''),
    'unix_socket' => env('DB_SOCKET', ''),
    'charset' => 'utf8mb4',
    'collation' => 'utf8mb4_unicode_ci',
    'prefix' => '',
    'strict' => true,
    'engine' => null,
    'options' => $options,
];

// With replicas, reads go to one of them, but after a write the same request
// reads from the primary: a replica may not have the row yet.
$replicas = array_values(array_filter(array_map('trim', explode(',', (string) env('DB_READ_HOST', '')))));
if ($replicas !== []) {
    $mysql['read'] = ['host' => $replicas];
    $mysql['write'] = ['host' => [$mysql['host']]];
    $mysql['sticky'] = true;
}

// Sessions, queues and counters: an instance that evicts nothing.
$redis = [
    'host' => env('REDIS_HOST', '127.0.0.1'),
    'username' => env('REDIS_USERNAME'),
    'password' => env('REDIS_PASSWORD'),
    'port' => env('REDIS_PORT', '6379'),
    'database' => env('REDIS_DB', '0'),
    'timeout' => (float) env('REDIS_TIMEOUT', 3),
];

return [
    'default' => env('DB_CONNECTION', 'mysql'),
    'connections' => [
        'mysql' => $mysql,
        // Users, shared by all apps.
        'rbac' => [
            'driver' => env('RBAC_DB_DRIVER', 'mysql'),
            'host' => env('RBAC_DB_HOST', env('DB_HOST', '127.0.0.1')),
            'port' => env('RBAC_DB_PORT', env('DB_PORT', '3306')),
            'database' => env('RBAC_DB_DATABASE', 'marg-rbac'),
            'username' => env('RBAC_DB_USERNAME', env('DB_USERNAME', 'marg_user')),
            'password' => env('RBAC_DB_PASSWORD', env('DB_PASSWORD', '')),
            'unix_socket' => env('RBAC_DB_SOCKET', ''),
            'charset' => 'utf8mb4',
            'collation' => 'utf8mb4_unicode_ci',
            'prefix' => '',
            'strict' => true,
            'engine' => null,
            'options' => $options,
        ],
    ],
    'migrations' => 'migrations',
    'redis' => [
        'client' => env('REDIS_CLIENT', 'phpredis'),
        'options' => ['cluster' => 'redis', 'prefix' => env('REDIS_PREFIX', 'marg_database_')],
        'default' => $redis,
        // The cache may live on a second instance, which may evict.
        'cache' => [
            'host' => env('REDIS_CACHE_HOST', $redis['host']),
            'password' => env('REDIS_CACHE_PASSWORD', $redis['password']),
            'port' => env('REDIS_CACHE_PORT', $redis['port']),
            'database' => env('REDIS_CACHE_DB', '1'),
        ] + $redis,
    ],
];
