/** What a server gets when the pooler looks a user up (see `src/pool/lookup.ts`), and its replies to all but the query itself. */

import { bindComplete, complete, join, parseComplete, ready } from './replies.ts'

export const LOOKUP = ['Query(DISCARD ALL)', 'Parse', 'Bind', 'Execute', 'Parse', 'Bind', 'Execute', 'Sync']

export const LOOKUP_BEGUN = join(
  ...[complete('DISCARD ALL'), ready()],
  ...[parseComplete, bindComplete, complete('SELECT 0')],
)
