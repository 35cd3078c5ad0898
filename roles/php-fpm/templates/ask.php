<?php
// Made by marg. Asks a php-fpm by FastCGI, as nginx does: ask.php SOCKET SECONDS NAME=VALUE…
// Prints what it answers; ends with status 0 when that was 2xx, and whole.
[, $path, $seconds] = $argv;
$parameters = [
    'GATEWAY_INTERFACE' => 'CGI/1.1', 'SERVER_PROTOCOL' => 'HTTP/1.1', 'REQUEST_METHOD' => 'GET',
    'REMOTE_ADDR' => '127.0.0.1', 'QUERY_STRING' => '', 'REQUEST_URI' => '/',
];
foreach (array_slice($argv, 3) as $word) {
    [$name, $value] = explode('=', $word, 2);
    $parameters[$name] = $value;
}
$parameters = array_filter($parameters, fn ($value, $name) => $value !== '' || $name === 'QUERY_STRING', ARRAY_FILTER_USE_BOTH);

$record = fn (int $type, string $content) => pack('CCnnCC', 1, $type, 1, strlen($content), 0, 0) . $content;
$length = fn (string $text) => strlen($text) < 128 ? chr(strlen($text)) : pack('N', strlen($text) | 0x80000000);
$pairs = '';
foreach ($parameters as $name => $value) {
    $pairs .= $length($name) . $length($value) . $name . $value;
}

$end = microtime(true) + (float) $seconds;
$fail = function (string $why) use ($path) {
    fwrite(STDERR, "$path: $why\n");
    exit(1);
};
$socket = @stream_socket_client("unix://$path", $number, $error, (float) $seconds) ?: $fail($error);
fwrite($socket, $record(1, pack('nCx5', 1, 0)) . $record(4, $pairs) . $record(4, '') . $record(5, ''));
$read = function (int $count) use ($socket, $end, $fail) {
    $text = '';
    while (strlen($text) < $count) {
        $left = $end - microtime(true);
        $left > 0 || $fail('no answer in time');
        stream_set_timeout($socket, (int) $left, (int) (($left - (int) $left) * 1e6));
        $more = fread($socket, $count - strlen($text));
        if ($more === false || ($more === '' && feof($socket))) {
            $fail('the answer was cut off');
        }
        $text .= $more;
    }
    return $text;
};
$answer = '';
do {
    $head = unpack('Cversion/Ctype/nid/nlength/Cpadding/Creserved', $read(8));
    $content = $read($head['length']);
    $read($head['padding']);
    if ($head['type'] === 6) {
        $answer .= $content;
    }
} while ($head['type'] !== 3);
[$fields, $body] = explode("\r\n\r\n", $answer, 2) + ['', ''];
echo $body;
exit(preg_match('/^Status: (?!2)/mi', $fields) ? 1 : 0);
