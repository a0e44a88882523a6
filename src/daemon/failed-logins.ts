/** Builds the counter of failed logins, which slows down repeated failures. It lives in the single process, or in the primary of a fleet. */

import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { FailedLogins } from '../workers/failed-logins.ts'
import type { LiveSettings } from './live-settings.ts'

export function failedLoginsOf(live: LiveSettings, clock: Clock, log: Log): FailedLogins {
  return new FailedLogins({
    clock,
    delayMs: () => live.now.general.auth_failure_delay,
    onSlowed: (place) =>
      log.warning(
        `several logins have failed from ${place}; answers to further failures are delayed (auth_failure_delay)`,
      ),
  })
}
