import { serialize } from 'pg-protocol'
import { beforeEach, describe, expect, test } from 'vitest'
import { type Step, sameAsDirect } from '../support/e2e/conversation.ts'
import { sharedPgweir, startPgweir } from '../support/e2e/pgweir.ts'
import { extended } from '../support/e2e/raw-client.ts'
import { adminClient, createDatabase, createRole } from '../support/postgres.ts'

const database = await createDatabase({ method: 'trust' })
const admin = await adminClient(database.database)

const { parse, bind, execute, sync, query, flush } = serialize
const describeStatement = (name = '') => serialize.describe({ type: 'S', name })
const describePortal = (name = '') => serialize.describe({ type: 'P', name })
const closeStatement = (name = '') => serialize.close({ type: 'S', name })
const closePortal = (name = '') => serialize.close({ type: 'P', name })

/** Binds and runs a statement. */
function run(statement = '', values: unknown[] = []): Buffer {
  return Buffer.concat([bind({ statement, values }), execute()])
}

function step(...send: Uint8Array[]): Step {
  return { send }
}

const BAD = parse({ name: 'bad', text: 'select nothing from nowhere' })

const CONVERSATIONS: Readonly<Record<string, readonly Step[]>> = {
  'a name that was never defined': [
    step(run('never'), sync()),
    step(describeStatement('never'), sync()),
    step(closeStatement('never'), sync()),
    step(query('begin')),
    step(run('never'), sync()),
    step(query('rollback')),
    step(extended('select 1')),
  ],
  'a name that looks like a pooler-generated one': [
    step(parse({ name: 's1', text: 'select 1 as one' }), sync()),
    ...[1, 2, 3].map((id) => step(run(`pgweir_${id}`), sync())),
    step(describeStatement('pgweir_1'), sync()),
    step(closeStatement('pgweir_1'), sync()),
    step(run('s1'), sync()),
    step(parse({ name: 'pgweir_1', text: 'select 2 as two' }), run('pgweir_1'), sync()),
  ],
  'a name that is defined twice': [
    step(parse({ name: 's1', text: 'select 1 as one' }), sync()),
    step(parse({ name: 's1', text: 'select 2 as two' }), sync()),
    step(parse({ name: 's1', text: 'select 1 as one' }), sync()),
    step(run('s1'), sync()),
    step(parse({ name: 's2', text: 'select 3' }), parse({ name: 's2', text: 'select 4' }), run('s2'), sync()),
    step(run('s2'), sync()),
  ],
  'a name that is closed and defined again': [
    step(parse({ name: 's1', text: 'select 1 as one' }), run('s1'), sync()),
    step(closeStatement('s1'), sync()),
    step(run('s1'), sync()),
    step(parse({ name: 's1', text: 'select 2 as two' }), describeStatement('s1'), run('s1'), sync()),
    step(
      closeStatement('s1'),
      parse({ name: 's1', text: 'select 3 as three' }),
      run('s1'),
      closeStatement('s1'),
      sync(),
    ),
    step(describeStatement('s1'), sync()),
  ],
  'requests that were skipped after an error': [
    step(parse({ name: 's1', text: 'select 1 as one' }), sync()),
    step(BAD, closeStatement('s1'), parse({ name: 's2', text: 'select 2' }), sync()),
    step(run('s1'), sync()),
    step(run('s2'), sync()),
    step(run('bad'), sync()),
    step(run('never'), closeStatement('s1'), parse({ name: 's1', text: 'select 3' }), sync()),
    step(run('s1'), sync()),
  ],
  'requests that were carried out before an error': [
    step(
      parse({ name: 's1', text: 'select $1::int / $2::int as q' }),
      run('s1', ['1', '0']),
      run('s1', ['4', '2']),
      sync(),
    ),
    step(run('s1', ['4', '2']), sync()),
    step(closeStatement('s1'), BAD, sync()),
    step(run('s1', ['4', '2']), sync()),
  ],
  'statements that are prepared in a transaction that is rolled back': [
    step(query('begin')),
    step(parse({ name: 's1', text: 'select 1 as one' }), sync()),
    step(query('rollback')),
    step(run('s1'), sync()),
    step(query('begin')),
    step(closeStatement('s1'), sync()),
    step(query('rollback')),
    step(run('s1'), sync()),
  ],
  'statements in a failed transaction': [
    step(parse({ name: 's1', text: 'select 1 as one' }), sync()),
    step(parse({ name: 'undo', text: 'rollback' }), sync()),
    step(query('begin')),
    step(query('select 1/0')),
    step(parse({ name: 's2', text: 'select 2' }), sync()),
    step(parse({ name: 's3', text: 'select 1 as one' }), sync()),
    step(run('s1'), sync()),
    step(describeStatement('s1'), sync()),
    step(closeStatement('s1'), sync()),
    step(run('undo'), sync()),
    step(run('s2'), sync()),
    step(run('s3'), sync()),
    step(run('s1'), sync()),
  ],
  'parameter types that the client specifies': [
    step(parse({ name: 's1', text: 'select $1 as v', types: [23] }), describeStatement('s1'), run('s1', ['7']), sync()),
    step(parse({ name: 's2', text: 'select $1 as v', types: [25] }), describeStatement('s2'), run('s2', ['7']), sync()),
    step(parse({ name: 's3', text: 'select $1 as v' }), describeStatement('s3'), run('s3', ['x']), sync()),
    step(describeStatement('s1'), describeStatement('s2'), describeStatement('s3'), sync()),
    step(run('s1', ['x']), sync()),
  ],
  'a statement without rows, without columns, and without text': [
    step(parse({ name: 's1', text: 'set local work_mem = 64' }), describeStatement('s1'), run('s1'), sync()),
    step(parse({ name: 's2', text: 'select' }), describeStatement('s2'), run('s2'), sync()),
    step(parse({ name: 's3', text: '' }), describeStatement('s3'), run('s3'), sync()),
    step(run('s3'), run('s2'), run('s1'), sync()),
  ],
  'an unnamed statement that is bound in later transactions': [
    step(parse({ text: 'select $1::int + 1 as n' }), sync()),
    step(describeStatement(), sync()),
    step(run('', ['1']), sync()),
    step(bind({ values: ['2'] }), describePortal(), execute(), sync()),
    step(parse({ text: `select 'second'` }), sync()),
    step(run(), sync()),
  ],
  'an unnamed statement that does not exist': [
    step(run(), sync()),
    step(describeStatement(), sync()),
    step(parse({ text: 'select 1' }), sync()),
    // A simple query drops the unnamed statement.
    step(query('select 2')),
    step(run(), sync()),
    step(parse({ text: 'select 3' }), sync()),
    step(closeStatement(), sync()),
    step(run(), sync()),
    // A Parse that fails drops the earlier unnamed statement.
    step(parse({ text: 'select 4' }), sync()),
    step(parse({ text: 'select nothing from nowhere' }), sync()),
    step(run(), sync()),
    step(parse({ text: 'select 5' }), parse({ text: 'select nothing from nowhere' }), run(), sync()),
    step(run(), sync()),
  ],
  'requests after DEALLOCATE ALL and DISCARD ALL in the same pipeline': [
    step(parse({ name: 's1', text: 'select 1 as one' }), sync()),
    step(run('s1'), sync(), query('deallocate all'), run('s1'), sync(), query('select 2')),
    step(parse({ name: 's1', text: 'select 3 as three' }), run('s1'), sync(), query('discard all'), run('s1'), sync()),
    step(query('deallocate all'), parse({ name: 's1', text: 'select 4 as four' }), run('s1'), sync()),
    step(parse({ text: 'deallocate all' }), run(), run('s1'), sync(), run('s1'), sync()),
    step(
      parse({ name: 's1', text: 'select 5 as five' }),
      sync(),
      query('begin'),
      query('discard all'),
      run('s1'),
      sync(),
    ),
    step(query('rollback'), run('s1'), sync()),
    step(run('s1'), sync(), query('deallocate s1'), run('s1'), sync()),
  ],
  'a temporary table that hides another one': [
    step(query('create table hidden (n int)')),
    step(parse({ name: 's1', text: 'select * from hidden' }), describeStatement('s1'), run('s1'), sync()),
    step(query('begin; create temp table hidden (text text, more int) on commit drop')),
    step(parse({ name: 's2', text: 'select * from hidden' }), describeStatement('s2'), run('s2'), sync()),
    step(parse({ text: 'select * from hidden' }), describeStatement(), run(), sync()),
    step(query('commit')),
    step(parse({ name: 's3', text: 'select * from hidden' }), describeStatement('s3'), run('s3'), sync()),
    step(query('begin')),
    step(query('create temporary table hidden (flag bool) on commit drop')),
    step(parse({ name: 's4', text: 'select * from hidden' }), describeStatement('s4'), run('s4'), sync()),
    step(query('rollback')),
    step(parse({ name: 's5', text: 'select * from hidden' }), describeStatement('s5'), run('s5'), sync()),
    step(query('begin; savepoint before')),
    step(query('create temp table hidden (late date)')),
    step(parse({ name: 's6', text: 'select * from hidden' }), describeStatement('s6'), run('s6'), sync()),
    step(query('rollback to before')),
    step(parse({ name: 's7', text: 'select * from hidden' }), describeStatement('s7'), run('s7'), sync()),
    step(query('commit')),
    step(query('drop table hidden')),
  ],
  'DEALLOCATE and DISCARD': [
    step(parse({ name: 's1', text: 'select 1 as one' }), sync()),
    step(query('deallocate all')),
    step(run('s1'), sync()),
    step(parse({ name: 's1', text: 'select 2 as two' }), run('s1'), sync()),
    step(parse({ text: 'discard all' }), run(), sync()),
    step(run('s1'), sync()),
    step(parse({ name: 's1', text: 'select 3 as three' }), run('s1'), sync()),
    step(query('begin')),
    step(query('deallocate all')),
    step(run('s1'), sync()),
    step(query('rollback')),
  ],
  'named portals, and rows in portions': [
    step(query('begin')),
    step(
      parse({ name: 's1', text: 'select n from generate_series(1, 5) n' }),
      bind({ portal: 'p1', statement: 's1' }),
      bind({ portal: 'p2', statement: 's1' }),
      describePortal('p1'),
      execute({ portal: 'p1', rows: 2 }),
      execute({ portal: 'p2', rows: 1 }),
      sync(),
    ),
    step(execute({ portal: 'p1', rows: 2 }), sync()),
    step(execute({ portal: 'p1', rows: 2 }), closePortal('p2'), sync()),
    step(execute({ portal: 'p2' }), sync()),
    step(query('rollback')),
    step(execute({ portal: 'p1' }), sync()),
  ],
  'Flush, which returns the replies so far without ending the batch': [
    { send: [parse({ name: 's1', text: 'select 1 as one' }), describeStatement('s1'), flush()], upTo: 'T' },
    { send: [bind({ statement: 's1' }), flush()], upTo: '2' },
    { send: [execute(), flush()], upTo: 'C' },
    step(sync()),
    { send: [run('never'), flush()], upTo: 'E' },
    step(execute(), closeStatement('s1'), sync()),
    step(run('s1'), sync()),
    // Closing and preparing the same name again in later batches is answered by the pooler itself.
    { send: [closeStatement('s1'), flush()], upTo: '3' },
    { send: [parse({ name: 's1', text: 'select 1 as one' }), flush()], upTo: '1' },
    step(run('s1'), sync()),
  ],
  'names of any length and with any characters': [
    step(parse({ name: 'größe 🐘', text: 'select 1 as one' }), run('größe 🐘'), sync()),
    step(parse({ name: 'x'.repeat(63), text: 'select 2 as two' }), sync()),
    step(run('x'.repeat(63)), sync()),
    step(parse({ name: 'größe 🐘', text: 'select 5' }), sync()),
    step(run('größer'), sync()),
  ],
  'a Sync alone, and empty batches': [
    step(sync()),
    step(sync(), sync(), sync()),
    step(query('')),
    step(parse({ text: '' }), run(), sync(), sync()),
  ],
}

describe('a conversation about prepared statements is the same as with PostgreSQL itself:', () => {
  for (const [name, steps] of Object.entries(CONVERSATIONS))
    test(name, async () => {
      const pgweir = await sharedPgweir({ database })
      await sameAsDirect(pgweir, steps)
    })
})

describe('with max_prepared_statements = 1, a conversation about prepared statements is the same as with PostgreSQL itself:', () => {
  for (const [name, steps] of Object.entries(CONVERSATIONS))
    test(name, async () => {
      const pgweir = await sharedPgweir({ database, settings: { max_prepared_statements: 1 } })
      await sameAsDirect(pgweir, steps)
    })
})

describe('in session mode, a conversation about prepared statements is the same as with PostgreSQL itself:', () => {
  for (const [name, steps] of Object.entries(CONVERSATIONS))
    test(name, async () => {
      const pgweir = await sharedPgweir({ database, settings: { pool_mode: 'session', default_pool_size: 2 } })
      await sameAsDirect(pgweir, steps)
    })
})

describe('when tables change', () => {
  beforeEach(async () => {
    await admin.query('drop table if exists things; create table things (a int, b text)')
    await admin.query(`alter table things owner to ${database.user}`)
  })

  test('a Describe returns the new parameter types', async () => {
    const pgweir = await startPgweir({ database })
    const [ada, bob] = [await pgweir.raw(), await pgweir.raw()]
    const insert = parse({ name: 's1', text: 'insert into things values ($1)' })
    expect(await ada.ask(insert, describeStatement('s1'), sync())).toContain('ParameterDescription 23')
    await bob.ask(query('drop table things; create table things (a text)'))
    expect(await ada.ask(describeStatement('s1'), sync())).toContain('ParameterDescription 25')
    expect(await bob.ask(insert, describeStatement('s1'), sync())).toContain('ParameterDescription 25')
  })

  test('a client that does not describe its statement again gets an error, not rows that it would misread', async () => {
    const pgweir = await startPgweir({ database, settings: { default_pool_size: 1 } })
    const [ada, bob] = [await pgweir.raw(), await pgweir.raw()]
    const select = parse({ name: 's1', text: 'select * from things' })
    expect(await ada.ask(select, describeStatement('s1'), sync())).toContain('RowDescription a:23|b:25')
    await bob.ask(query('drop table things; create table things (b text, a int)'))
    await bob.ask(query(`insert into things values ('b', 1)`))
    // Bob describes the statement and learns the new columns. Ada still relies on the old ones.
    expect(await bob.ask(select, describeStatement('s1'), run('s1'), sync())).toContain('DataRow b|1')
    const error = 'ErrorResponse 0A000 cached plan must not change result type'
    expect(await ada.ask(run('s1'), sync())).toEqual([error, 'ReadyForQuery I'])
    expect(await bob.ask(run('s1'), sync())).toContain('DataRow b|1')
    // What drivers do after this error.
    expect(await ada.ask(closeStatement('s1'), select, describeStatement('s1'), run('s1'), sync())).toContain(
      'DataRow b|1',
    )
  })

  test('a client gets that error even if another client has described the same statement', async () => {
    const pgweir = await startPgweir({ database })
    const [ada, bob, eve] = [await pgweir.raw(), await pgweir.raw(), await pgweir.raw()]
    const select = parse({ name: 's1', text: 'select * from things' })
    for (const client of [ada, bob, eve]) await client.ask(select, describeStatement('s1'), run('s1'), sync())
    await bob.ask(query('drop table things; create table things (b text, a int)'))
    await bob.ask(query(`insert into things values ('b', 1)`))
    const [, columns, row] = await bob.ask(bind({ statement: 's1' }), describePortal(), execute(), sync())
    expect([columns, row]).toEqual(['RowDescription b:25|a:23', 'DataRow b|1'])
    const error = 'ErrorResponse 0A000 cached plan must not change result type'
    expect(await ada.ask(run('s1'), sync())).toEqual([error, 'ReadyForQuery I'])
    expect(await eve.ask(describeStatement('s1'), run('s1'), sync())).toContain('DataRow b|1')
    expect(await ada.ask(run('s1'), sync())).toEqual([error, 'ReadyForQuery I'])
  })

  test('a client gets that error also on a server that does not have the statement yet', async () => {
    const pgweir = await startPgweir({ database, settings: { default_pool_size: 2 } })
    const [ada, bob, blocker] = [await pgweir.raw(), await pgweir.raw(), await pgweir.raw()]
    const select = parse({ name: 's1', text: 'select * from things' })
    await ada.ask(select, describeStatement('s1'), run('s1'), sync())
    // The blocker occupies the server that Ada has used.
    await blocker.ask(query('begin'))
    await bob.ask(query('drop table things; create table things (b text, a int)'))
    await bob.ask(query(`insert into things values ('b', 1)`))
    const lines = await ada.ask(run('s1'), sync())
    expect(lines).toEqual(['ErrorResponse 0A000 cached plan must not change result type', 'ReadyForQuery I'])
    await blocker.ask(query('rollback'))
  })

  /** Ada's statements are prepared on a server that the blocker occupies. The tables change before she gets the other server. */
  async function startWithNewServer(change: string) {
    const pgweir = await startPgweir({ database, settings: { default_pool_size: 2 } })
    const [ada, bob, blocker] = [await pgweir.raw(), await pgweir.raw(), await pgweir.raw()]
    const texts = { s1: 'select * from things', s2: 'select a from things', s3: 'select $1::int as n' }
    for (const [name, text] of Object.entries(texts))
      await ada.ask(parse({ name, text }), describeStatement(name), sync())
    await blocker.ask(query('begin'))
    await bob.ask(query(`${change}; insert into things (a) values (7)`))
    return { ada, release: () => blocker.ask(query('rollback')) }
  }

  const STALE = 'ErrorResponse 0A000 cached plan must not change result type'

  test('a pipeline gets errors only for its changed statements, whether first, middle or last', async () => {
    const { ada, release } = await startWithNewServer('alter table things add c int')
    const lines = await ada.ask(
      ...[run('s2'), sync()],
      ...[run('s3', ['1']), run('s1'), run('s3', ['2']), sync()],
      ...[run('s3', ['3']), run('s2'), sync()],
      ...[run('s1'), sync()],
      query('select 4 as four'),
    )
    const done = (row: string) => ['BindComplete', `DataRow ${row}`, 'CommandComplete SELECT 1']
    expect(lines).toEqual([
      ...[...done('7'), 'ReadyForQuery I'],
      ...[...done('1'), STALE, 'ReadyForQuery I'],
      ...[...done('3'), ...done('7'), 'ReadyForQuery I'],
      ...[STALE, 'ReadyForQuery I'],
      ...['RowDescription four:23', 'DataRow 4', 'CommandComplete SELECT 1', 'ReadyForQuery I'],
    ])
    await release()
  })

  test('a changed statement makes a transaction fail', async () => {
    const { ada, release } = await startWithNewServer('alter table things add c int')
    await ada.ask(query('begin'))
    expect((await ada.ask(run('s2'), sync())).at(-1)).toBe('ReadyForQuery T')
    expect(await ada.ask(run('s1'), sync())).toEqual([STALE, 'ReadyForQuery E'])
    expect((await ada.ask(run('s2'), sync()))[0]).toMatch(/^ErrorResponse 25P02/)
    expect(await ada.ask(query('rollback'))).toEqual(['CommandComplete ROLLBACK', 'ReadyForQuery I'])
    expect(await ada.ask(run('s2'), sync())).toContain('DataRow 7')
    await release()
  })

  test('a dropped table or column is an error', async () => {
    const { ada, release } = await startWithNewServer('alter table things drop a; alter table things add a text')
    // As PostgreSQL does when it has to plan such a statement again.
    expect(await ada.ask(run('s2'), run('s3', ['1']), sync())).toEqual([STALE, 'ReadyForQuery I'])
    const { ada: eve, release: releaseAgain } = await startWithNewServer(
      'alter table things rename to goods; create table things (a int)',
    )
    await eve.ask(query('drop table things; alter table goods rename to objects'))
    expect(await eve.ask(run('s2'), sync())).toEqual([
      'ErrorResponse 42P01 relation "things" does not exist',
      'ReadyForQuery I',
    ])
    expect(await eve.ask(run('s3', ['5']), sync())).toContain('DataRow 5')
    await release()
    await releaseAgain()
    await eve.ask(query('alter table objects rename to things'))
  })

  test('a recreated table with the same columns causes no error', async () => {
    const { ada, release } = await startWithNewServer('drop table things; create table things (a int, b text)')
    expect(await ada.ask(run('s1'), run('s2'), sync())).toEqual([
      ...['BindComplete', 'DataRow 7|null', 'CommandComplete SELECT 1'],
      ...['BindComplete', 'DataRow 7', 'CommandComplete SELECT 1'],
      'ReadyForQuery I',
    ])
    await release()
  })

  test('a change by another user, in another pool, is noticed', async () => {
    const other = await createRole({ method: 'trust', attributes: `in role ${database.user}` })
    const secrets = { [database.user]: '', [other.user]: '' }
    const pgweir = await startPgweir({ database, secrets })
    const [ada, bob] = [await pgweir.raw(), await pgweir.raw({ user: other.user })]
    const insert = parse({ name: 's1', text: 'insert into things (a) values ($1)' })
    expect(await ada.ask(insert, describeStatement('s1'), sync())).toContain('ParameterDescription 23')
    await bob.ask(query(`set role ${database.user}; alter table things alter a type bigint; reset role`))
    expect(await ada.ask(describeStatement('s1'), sync())).toContain('ParameterDescription 20')
  })

  test('changes that do not affect the columns cause no error', async () => {
    const pgweir = await startPgweir({ database, settings: { default_pool_size: 2 } })
    const [ada, bob, blocker] = [await pgweir.raw(), await pgweir.raw(), await pgweir.raw()]
    await ada.ask(parse({ name: 's1', text: 'select * from things' }), describeStatement('s1'), run('s1'), sync())
    await bob.ask(query('create index on things (a); alter table things alter a set default 5'))
    await bob.ask(query('create temp table elsewhere (n int); drop table elsewhere'))
    expect(await ada.ask(run('s1'), sync())).toEqual(['BindComplete', 'CommandComplete SELECT 0', 'ReadyForQuery I'])
    await blocker.ask(query('begin'))
    expect(await ada.ask(run('s1'), sync())).toEqual(['BindComplete', 'CommandComplete SELECT 0', 'ReadyForQuery I'])
    await blocker.ask(query('rollback'))
  })
})
