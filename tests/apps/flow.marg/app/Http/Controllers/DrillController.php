<?php

namespace App\Http\Controllers;

use Illuminate\Http\JsonResponse;
use Illuminate\Http\Request;
use Illuminate\Routing\Controller;

// For exercises only: things that a test of the machines needs to see.
class DrillController extends Controller
{
    private const LONGEST_MS = 40000;

    /**
     * A request that takes its time, to see that draining waits for it. A signal that ends a pause
     * does not end the request.
     */
    public function slow(Request $request): JsonResponse
    {
        $ms = max(0, min((int) $request->query('ms', 0), self::LONGEST_MS));
        $end = hrtime(true) + $ms * 1_000_000;
        while (hrtime(true) < $end) {
            usleep(10_000);
        }

        return response()->json(['slept_ms' => $ms, 'host' => gethostname()]);
    }

    /** The one harmless setting, to see that an awkward value arrives intact. */
    public function echoConfig(Request $request): JsonResponse
    {
        abort_unless($request->query('key') === 'app.motto', 404, 'Only app.motto can be asked for.');

        return response()->json(['key' => 'app.motto', 'value' => config('app.motto')]);
    }
}
