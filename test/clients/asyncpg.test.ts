/** asyncpg: binary values, named statements for everything, and a protocol of its own making rather than libpq's. */

import { promise, type Scenario } from './support/compare.ts'

function script(name: string): Scenario {
  return { program: 'python', args: [`python/asyncpg/${name}.py`] }
}

promise({
  'asyncpg prepares statements and gets values of all types': script('queries'),
  'asyncpg prepares statements where a server keeps two of them': {
    ...script('queries'),
    modes: ['transaction'],
    settings: { max_prepared_statements: 2 },
  },
  'asyncpg follows tables that change': script('changed_tables'),
  'asyncpg copies in and out, and survives the errors of COPY': script('copy'),
  'asyncpg pools connections, a server for each': { ...script('pool'), size: 31, modes: ['session'] },
  'asyncpg pools more connections than there are servers': { ...script('pool'), size: 3, modes: ['transaction'] },
  'asyncpg resets a connection to the settings that it was opened with': script('reset'),
  'asyncpg cancels what takes too long, and only that': script('cancel'),
  'asyncpg keeps its session': { ...script('session'), modes: ['session'] },
})
