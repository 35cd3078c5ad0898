<?php

return [
    // CACHE_STORE is Laravel 11's name, CACHE_DRIVER Laravel 10's: accept both.
    'default' => env('CACHE_STORE', env('CACHE_DRIVER', 'file')),
    'stores' => [
        'array' => ['driver' => 'array', 'serialize' => false],
        'file' => ['driver' => 'file', 'path' => storage_path('framework/cache/data')],
        // Sessions use this store's prefix on the connection 'default', so
        // only what is really cache can be evicted; locks must not be.
        'redis' => ['driver' => 'redis', 'connection' => 'cache', 'lock_connection' => 'default'],
    ],
    'prefix' => env('CACHE_PREFIX', 'marg'),
];
