/** The applications in `examples/` that need only Debian's packages and our own. */

import { promiseExamples } from './support/examples.ts'

await promiseExamples({
  'node-postgres': {},
  sqlalchemy: {},
  django: { tables: ['tickets_event', 'tickets_booking'] },
  jdbc: {},
  rails: {},
})
