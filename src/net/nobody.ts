/** The listener of a new channel, until the channel's owner sets its own. */

import { invariant } from '../base/invariant.ts'
import type { ChannelListener } from './channel.ts'

/** Ignores the end of a channel, but not bytes: an owner that cannot take bytes yet must pause the channel. */
export const NOBODY: ChannelListener = {
  onRead() {
    invariant(false, 'bytes arrived on a channel that nobody listens to')
  },
  onDrained() {},
  onClosed() {},
}
