/**
 * Sends a batch again whose first request was refused for a reason that is not the client's fault: the plan is out of date, or somebody
 * has dropped a shared statement. Nothing of the batch has been executed then, and the client has received no answer to it.
 */

import { DEBT, SWALLOW } from '../server/ledger.ts'
import type { Server } from '../server/server.ts'
import { SYNC } from '../wire/frontend.ts'
import type { Notice } from '../wire/notices.ts'
import { isMisread, isStalePlan, isUnknownName } from './replies.ts'

type RerunState = 'none' | 'awaited' | 'running'

export class Rerun {
  #state: RerunState = 'none'

  /** The server skips the rest of the batch; nothing else is sent until it is ready. */
  get isAwaited(): boolean {
    return this.#state === 'awaited'
  }

  /** The requests that are being sent are the recorded batch, not new ones of the client's. */
  get isRunning(): boolean {
    return this.#state === 'running'
  }

  /** The first request of the recorded batch has failed. Returns whether the batch will be sent again. */
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

  /** The server is ready: sends the batch again. */
  run(server: Server, send: (requests: Buffer) => void): void {
    this.#state = 'running'
    try {
      send(server.recording.take())
    } finally {
      this.#state = 'none'
    }
  }
}
