<?php
// Writes numbers to a list in Redis as an application would, through the name that applications use,
// and counts what went wrong, after a sign in /run that it has begun: writer.php LIST SECONDS kept|fresh, the password on standard input.
// `kept` keeps its connection as workers do, `fresh` opens one for each write as web requests do.
[, $list, $seconds, $mode] = $argv;
$password = trim(stream_get_contents(STDIN));
$begin = microtime(true);
$end = $begin + $seconds;
$last = $begin;
$longest = 0.0;
$tried = 0;
$acknowledged = [];
$errors = [];

function connect(string $password): Redis
{
    $redis = new Redis();
    $redis->connect('redis.marg.internal', 6379, 5, null, 0, 30);
    $redis->auth(['marg', $password]);
    return $redis;
}

$redis = null;
while (microtime(true) < $end) {
    $began = microtime(true);
    $tried++;
    try {
        if ($redis === null || $mode === 'fresh') {
            $redis = connect($password);
        }
        $redis->rPush($list, $tried);
        $acknowledged[] = $tried;
        if ($tried === 1) {
            touch("/run/$list");
        }
        $longest = max($longest, microtime(true) - $last);
        $last = microtime(true);
    } catch (RedisException $error) {
        $errors[] = sprintf('%.1f s: %s', $began - $begin, $error->getMessage());
        $redis = null;
    }
    usleep((int) max(0, 1e6 * (0.02 - (microtime(true) - $began))));
}

$there = array_map('intval', connect($password)->lRange($list, 0, -1));
echo json_encode([
    'tried' => $tried,
    'acknowledged' => count($acknowledged),
    'lost' => count(array_diff($acknowledged, $there)),
    'doubled' => count($there) - count(array_unique($there)),
    'errors' => $errors,
    'longest_pause' => round($longest, 1),
]), "\n";
