/** The applications of `examples/` that need no more than Debian's packages and ours. */

import { promiseExamples } from './support/examples.ts'

await promiseExamples({
  'node-postgres': {},
  sqlalchemy: {},
  django: { tables: ['tickets_event', 'tickets_booking'] },
  jdbc: {},
  rails: {},
})
