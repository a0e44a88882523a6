import { expect, test } from 'vitest'
import { CHORE_NEEDS } from '../../../src/server/chore.ts'
import { Ledger } from '../../../src/server/ledger.ts'
import { OutsideLease, type OutsideLeaseOwner } from '../../../src/server/outside-lease.ts'
import { Profile, Tracked } from '../../../src/server/profile.ts'
import { SchemaVersion } from '../../../src/server/schema-version.ts'
import { ServerSettings } from '../../../src/server/server-settings.ts'
import { StatementRegistry } from '../../../src/server/statement-registry.ts'
import { ServerStatements } from '../../../src/server/statements.ts'
import { Frames } from '../../../src/wire/frames.ts'
import { MAX_CHORE_REPLY_BYTES } from '../../../src/wire/limits.ts'
import type { Notice } from '../../../src/wire/notices.ts'
import { takeInvariantFailures } from '../../support/every-file.ts'
import { complete, dataRow, error, join, notice, parameterStatus, ready, rows } from '../../support/flow/replies.ts'
import { message } from '../../support/flow/requests.ts'

/** `told` lists the calls that the server receives, in order. */
function outsideLease() {
  const told: string[] = []
  const frames = new Frames(MAX_CHORE_REPLY_BYTES)
  const settings = new ServerSettings(new Tracked([]))
  const owner: OutsideLeaseOwner & { isOver: boolean } = {
    id: 7,
    isOver: false,
    settings,
    statements: new ServerStatements(new StatementRegistry(), new SchemaVersion()),
    send: (bytes) => void told.push(`send ${bytes.toString('latin1', 5, bytes.length - 1)}`),
    noteTag: (tag) => void told.push(`tag ${tag}`),
    close(reason, words) {
      told.push(words === undefined ? `close: ${reason}` : `close: ${reason}, told: ${words.message}`)
      owner.isOver = true
    },
    giveUp: (reason) => void told.push(`give up: ${reason}`),
    onAsynchronous: (type) => void told.push(`asynchronous ${String.fromCharCode(type)}`),
    onNonsense: (reason) => void told.push(`nonsense: ${reason}`),
  }
  const outside = new OutsideLease(owner)
  const say = (...messages: Buffer[]) => {
    const bytes = join(...messages)
    frames.read(bytes, 0, bytes.length, CHORE_NEEDS, outside)
  }
  return { outside, owner, settings, told, say }
}

test('an idle server may send parameter values, notices and notifications', () => {
  const { say, told } = outsideLease()
  say(parameterStatus('TimeZone', 'UTC'), notice('well'), message('A', Buffer.from('\0\0\0\0a\0b\0')))
  expect(told).toEqual(['asynchronous S', 'asynchronous N', 'asynchronous A'])
})

test('an idle server that sends an error is closed with the error’s message', () => {
  const { say, told } = outsideLease()
  say(error('57P01', 'terminating connection', 'FATAL'))
  expect(told).toEqual(['close: idle server got an error: terminating connection, told: terminating connection'])
})

test.each([
  ['rows', rows('1')],
  ['ReadyForQuery', ready()],
])('an idle server that sends %s unasked is closed, and further messages are ignored', (_, bytes) => {
  const { say, told } = outsideLease()
  say(bytes, notice('too late'), message('!'))
  expect(told).toEqual(['close: idle server got dirty'])
})

test('an idle server that sends a message of unknown type is reported as nonsense', () => {
  const { say, told } = outsideLease()
  say(message('!'))
  expect(told).toEqual(["nonsense: a message of type '!' and length 5 (unknown)"])
})

test('a server that answers the check query passes the check', () => {
  const { outside, say, told } = outsideLease()
  outside.check('select 1', () => told.push('sound'))
  say(rows('1'), ready())
  expect(told).toEqual(['send select 1', 'sound'])
})

test('a server is closed if its check query fails', () => {
  const { outside, say, told } = outsideLease()
  outside.check('select 1', () => told.push('sound'))
  say(error('53200', 'out of memory'), ready())
  expect(told).toEqual(['send select 1', 'close: test query failed'])
})

test('each command of the reset query is noted at once, so that nothing is kept of a server that ends ever new commands', () => {
  const { outside, say, told } = outsideLease()
  outside.reset('discard all; reset all', () => told.push('reset'))
  say(complete('DISCARD ALL'), complete('RESET'))
  expect(told).toEqual(['send discard all; reset all', 'tag DISCARD ALL', 'tag RESET'])
  say(ready())
  expect(told.at(-1)).toBe('reset')
})

test('a server is closed if part of its reset query fails', () => {
  const { outside, say, told } = outsideLease()
  outside.reset('discard all; bad', () => told.push('reset'))
  say(complete('DISCARD ALL'), error('42601', 'syntax error'), ready())
  expect(told).toEqual(['send discard all; bad', 'tag DISCARD ALL', 'close: reset query failed'])
})

test('an error of the connect query is passed on to the opening', () => {
  const { outside, say, told } = outsideLease()
  outside.connect('set role x', (problem) => told.push(`done: ${problem?.message}`))
  say(error('22023', 'role "x" does not exist'), ready())
  expect(told).toEqual(['send set role x', 'done: role "x" does not exist'])
})

test('after settings were changed, the profile holds their values as Postgres writes them', () => {
  const { outside, settings, say } = outsideLease()
  const answers: (string | null | undefined)[] = []
  outside.align(
    [{ name: 'work_mem', value: '1024kB' }],
    (problem, values) => answers.push(problem?.message, values.get('work_mem')),
    () => {},
  )
  say(dataRow('1MB'), complete('SELECT 1'), ready())
  expect(answers).toEqual([undefined, '1MB'])
  expect(settings.profile.extras.get('work_mem')).toBe('1MB')
})

test('if settings could not be changed, the profile stays as it was', () => {
  const { outside, settings, say } = outsideLease()
  const answers: unknown[] = []
  outside.align(
    [{ name: 'work_mem', value: 'much' }],
    (problem, values) => answers.push(problem?.message, values.size),
    () => {},
  )
  say(error('22023', 'invalid value'), ready())
  expect(answers).toEqual(['invalid value', 0])
  expect(settings.profile).toBe(Profile.of([]))
})

test('a restore hears what the server reports until it is done, and nothing after it', () => {
  const { outside, say, told } = outsideLease()
  outside.restore('set a = b', {
    heard: (buffer, start) => void told.push(`heard ${String.fromCharCode(buffer[start] ?? 0)}`),
    done: (problem) => void told.push(`done: ${problem}`),
    gone: () => void told.push('gone'),
  })
  say(parameterStatus('a', 'b'), complete('SET'), ready(), notice('later'))
  expect(told).toEqual(['send set a = b', 'heard S', 'asynchronous S', 'done: null', 'asynchronous N'])
})

test('after a query of pgweir’s own no earlier unnamed statement is relied on', () => {
  const { outside, owner } = outsideLease()
  const ledger = new Ledger()
  const client = {}
  owner.statements.unnamedSent(client, 1, ledger)
  outside.check('select 1', () => {})
  expect(owner.statements.hasUnnamed(client, 1, ledger)).toBe(false)
})

test('a server is given up if a query of pgweir’s own ends inside a transaction, and the query does not count as answered', () => {
  const { outside, say, told } = outsideLease()
  outside.check('begin', () => told.push('sound'))
  say(complete('BEGIN'), ready('T'))
  expect(told).toEqual(['send begin', 'give up: a query of the pooler ended within a transaction'])
})

test('when the server is lost, an alignment is told once, and a check not at all', () => {
  const { outside, told } = outsideLease()
  const words = { message: 'crashed' } as Notice
  outside.align(
    [{ name: 'a', value: 'b' }],
    () => told.push('done'),
    ({ message }) => told.push(message),
  )
  told.length = 0
  outside.abandon(words)
  outside.abandon(words)
  expect(told).toEqual(['crashed'])
  outside.check('select 1', () => told.push('sound'))
  outside.abandon(words)
  expect(told).toEqual(['crashed', 'send select 1'])
})

test('the last words of a server are its FATAL error, not a query’s error', () => {
  const { outside, say } = outsideLease()
  expect(outside.lastWords).toBeNull()
  outside.check('select 1', () => {})
  say(error('53200', 'out of memory'))
  expect(outside.lastWords).toBeNull()
  say(error('57P01', 'terminating connection', 'FATAL'))
  expect(outside.lastWords?.message).toBe('terminating connection')
})

test('a reply that no simple query has is nonsense', () => {
  const { outside, say, told } = outsideLease()
  outside.check('select 1', () => {})
  say(message('1'))
  expect(told.slice(1)).toEqual(["nonsense: a message of type '1' in answer to a query of the pooler"])
})

test('starting a second chore while one is running is an invariant failure', () => {
  const { outside } = outsideLease()
  outside.check('select 1', () => {})
  expect(() => outside.check('select 2', () => {})).toThrow('server 7 has two chores')
  expect(takeInvariantFailures()).toHaveLength(1)
})
