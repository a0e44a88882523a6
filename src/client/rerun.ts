/**
 * Sends a batch again whose first request was refused for a reason that is none of the client's: its plan is out of date, or somebody
 * has dropped a statement of ours. Nothing of the batch has happened then, and nothing was told of it.
 */

import { DEBT, SWALLOW } from '../server/ledger.ts'
import type { Server } from '../server/server.ts'
import { SYNC } from '../wire/frontend.ts'
import type { Notice } from '../wire/notices.ts'
import { isMisread, isStalePlan, isUnknownName } from './replies.ts'

type RerunState = 'none' | 'awaited' | 'running'

export class Rerun {
  #state: RerunState = 'none'

  /** The server skips what is left of the batch; until it is ready nothing else is sent. */
  get isAwaited(): boolean {
    return this.#state === 'awaited'
  }

  /** What is sent is no request of the client's just now. */
  get isRunning(): boolean {
    return this.#state === 'running'
  }

  /** The first request of what was recorded has failed. Returns whether it will be sent again. */
  begin(server: Server, notice: Notice): boolean {
    const { recording, ledger, statements } = server
    if (isUnknownName(notice)) {
      server.condemn('its shared statements are not what they should be')
      statements.doubtAll()
    } else if (!isStalePlan(notice) && !isMisread(notice)) return false
    ledger.fail()
    if (recording.state === 'complete') ledger.swallowSync()
    else {
      ledger.owe(DEBT.sync | SWALLOW)
      server.send(SYNC)
    }
    this.#state = 'awaited'
    return true
  }

  /** The server is ready. */
  run(server: Server, send: (requests: Buffer) => void): void {
    this.#state = 'running'
    try {
      send(server.recording.take())
    } finally {
      this.#state = 'none'
    }
  }
}
