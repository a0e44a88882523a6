/** Runs the commands in the documents against a pooler and compares the answers with those that the documents show. */

import { expect, test } from 'vitest'
import { blocksOf, type Command, commandsOf, DOCUMENTS, statementsOf } from '../support/docs/documents.ts'
import { expectShown } from '../support/docs/shape.ts'
import { wayOf } from '../support/docs/ways.ts'
import { sharedPgweir } from '../support/e2e/pgweir.ts'
import { Program } from '../support/e2e/program.ts'
import { createDatabase } from '../support/postgres.ts'

const BLOCKS = DOCUMENTS.flatMap((document) => blocksOf(document))
const STATEMENTS = BLOCKS.flatMap((block) => statementsOf(block).map((each) => ({ ...each, place: block.place })))
const database = await createDatabase()

function tried(way: string): Command[] {
  return BLOCKS.flatMap(commandsOf).filter((command) => wayOf(command) === way)
}

/** A pooler as the documents assume it: any user may log in, there is a database `app`, and it answers HTTP. */
function documented() {
  const { host, port, database: dbname, user, password } = database
  return sharedPgweir({
    database,
    databases: [`app = host=${host} port=${port} dbname=${dbname} user=${user} password=${password}`],
    settings: { auth_type: 'any', http_listen: '127.0.0.1:0' },
  })
}

test.each(tried('console'))('$place: $line', { timeout: 60_000 }, async ({ words }) => {
  const pgweir = await documented()
  const port = String(pgweir.address.port)
  const args = words.slice(words[0] === 'node' ? 2 : 1).map((word) => (word === '6432' ? port : word))
  const program = new Program(args, { PGHOST: pgweir.address.host, PGPORT: port, PGUSER: 'ada' })
  program.type('')
  expect(await program.ended(), program.stderr).toBe(0)
})

test.each(tried('curl'))('$place: $line', async ({ words, output }) => {
  const pgweir = await documented()
  await (await pgweir.client({ database: 'app', user: 'app' })).query('select 1')
  const pipe = words.indexOf('|')
  const [, ...args] = pipe < 0 ? words : words.slice(0, pipe)
  const [url = '', ...others] = args.filter((word) => word !== '-s')
  expect(others, 'what is not understood here').toEqual([])
  const { status, text } = await pgweir.page(new URL(url).pathname)
  expect(status).toBe(200)
  const [grep, sought = ''] = pipe < 0 ? ['grep'] : words.slice(pipe + 1)
  expect(grep).toBe('grep')
  expectShown(
    output,
    text
      .split('\n')
      .filter((line) => line.includes(sought))
      .join('\n'),
  )
})

test.each(STATEMENTS)('$place: $database, $statement', async ({ database: name, statement }) => {
  const pgweir = await documented()
  const client = await pgweir.client({ database: name, user: 'app' })
  await client.query(statement)
})
