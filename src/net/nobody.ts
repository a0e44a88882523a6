/** Who a new channel talks to until its owner has said who listens. */

import { invariant } from '../base/invariant.ts'
import type { ChannelListener } from './channel.ts'

/** Endings may go unheard, bytes may not: whoever cannot take them yet pauses the channel. */
export const NOBODY: ChannelListener = {
  onRead() {
    invariant(false, 'bytes arrived on a channel that nobody listens to')
  },
  onDrained() {},
  onClosed() {},
}
