<?php

namespace App\Http\Controllers;

use App\Support\Dependencies;
use App\Support\SchedulerRuns;
use Illuminate\Http\JsonResponse;
use Illuminate\Routing\Controller;

// What machines ask an app. None of these may start a session.
class ProbeController extends Controller
{
    public function live(): JsonResponse
    {
        return response()->json(['status' => 'ok']);
    }

    public function ready(): JsonResponse
    {
        $checks = Dependencies::check(['database', 'redis', 'queue']);
        $ready = ! in_array('failed', $checks, true);

        return response()->json(['ready' => $ready, 'checks' => $checks], $ready ? 200 : 503);
    }

    public function health(): JsonResponse
    {
        $checks = Dependencies::check(['database', 'rbac', 'redis', 'cache', 'queue']);
        $healthy = ! in_array('failed', $checks, true);

        return response()->json([
            'status' => $healthy ? 'healthy' : 'unhealthy',
            'app' => config('app.id'),
            'host' => gethostname(),
            'checks' => $checks,
            'waiting' => $checks['queue'] === 'ok' ? Dependencies::waitingJobs() : null,
        ], $healthy ? 200 : 503);
    }

    public function version(): JsonResponse
    {
        // Read at each request, and the folder's name with it: both tell
        // which release answers, whatever the caches hold.
        $file = base_path('VERSION');

        return response()->json([
            'app' => config('app.id'),
            'version' => is_readable($file) ? trim(file_get_contents($file)) : 'unknown',
            'release' => basename(base_path()),
            'host' => gethostname(),
        ]);
    }

    public function scheduler(): JsonResponse
    {
        return response()->json(SchedulerRuns::report());
    }
}
