<?php
// Made by marg. Runs in an application's php-fpm: has it read of that release, and is there room for
// another one? A release may need as much as the largest that is there, and a quarter more.
$status = function_exists('opcache_get_status') ? opcache_get_status(true) : false;
if ($status === false) {
    exit('room');
}
$own = $_SERVER['MARG_RELEASE'] . '/';
$folder = dirname($_SERVER['MARG_RELEASE']) . '/';
[$bytes, $files] = [[], []];
foreach ($status['scripts'] as $path => $script) {
    if (str_starts_with($path, $own)) {
        exit('it has read of this release before');
    }
    $release = str_starts_with($path, $folder) ? strtok(substr($path, strlen($folder)), '/') : '';
    $bytes[$release] = ($bytes[$release] ?? 0) + $script['memory_consumption'];
    $files[$release] = ($files[$release] ?? 0) + 1;
}
// What lies outside of the releases is there already.
unset($bytes[''], $files['']);
$memory = $status['memory_usage']['free_memory'];
$statistics = $status['opcache_statistics'];
$keys = $statistics['max_cached_keys'] - $statistics['num_cached_keys'];
$enough = !$status['cache_full'] && $memory > 1.25 * max([0, ...$bytes]) && $keys > 2.5 * max([0, ...$files]);
exit($enough ? 'room' : 'no room for another release');
