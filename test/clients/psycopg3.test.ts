/** psycopg 3: the extended protocol, statements prepared by itself, and pipelines. */

import { promise, type Scenario } from './support/compare.ts'

function script(name: string): Scenario {
  return { program: 'python', args: [`python/psycopg3/${name}.py`] }
}

promise({
  'psycopg nests transactions and gets values of all types': script('transactions'),
  'psycopg prepares statements, evicts and drops them': script('prepared'),
  'psycopg prepares statements where a server keeps two of them': {
    ...script('prepared'),
    modes: ['transaction'],
    settings: { max_prepared_statements: 2 },
  },
  'psycopg follows tables that change': script('changed_tables'),
  'psycopg sends pipelines, and survives the errors in them': script('pipeline'),
  'psycopg copies in and out, and survives the errors of COPY': script('copy'),
  'psycopg cancels the query that runs, and only that': script('cancel'),
  'psycopg with 40 tasks and threads gets the replies to its own questions from 4 servers': {
    ...script('many'),
    modes: ['transaction'],
    size: 4,
  },
})
