/** Random scripts for the clients of property tests: what they send, turn by turn. */

import fc from 'fast-check'
import { Cutter } from './inbox.ts'
import { RequestReader } from './reading.ts'
import { copyData } from './replies.ts'
import * as requests from './requests.ts'

const { bind, closePortal, closeStatement, copyDone, copyFail, describePortal, describeStatement } = requests
const { execute, flush, functionCall, parse, query, sync } = requests

/** Messages that are sent in one write. `tag` names the client and the turn, so that each reply shows whose it is. */
export type Messages = (tag: string) => Buffer[]

export interface Turn {
  readonly messages: Messages
  /** Whether it means the same whatever the outcome of the turns before it. */
  readonly standsAlone: boolean
  /** Whether the meaning of later turns may depend on its answer. */
  readonly hasConsequences: boolean
}

/** Texts that several clients use, so that the pooler shares the statements. */
const sharedText = fc.constantFrom(
  ...[
    'select rows shared-1 1',
    'select rows shared-2 3',
    'select rows shared-4 1',
    'select fail shared-3',
    'begin',
    'commit',
    'ddl t',
    'deallocate all',
  ],
)
const anyName = fc.constantFrom('', '', 's1', 's2', 's3')
const portalName = fc.constantFrom('', '', 'p')
const zone = fc.constantFrom('Etc/UTC', 'Europe/Rome', 'Asia/Tokyo')

const simple: fc.Arbitrary<Messages> = fc.oneof(
  { weight: 6, arbitrary: fc.nat(3).map((count) => (tag: string) => [query(`rows ${tag} ${count}`)]) },
  { weight: 2, arbitrary: fc.constant((tag: string) => [query(`fail ${tag}`)]) },
  { weight: 1, arbitrary: fc.constant((tag: string) => [query(`bad ${tag}`)]) },
  { weight: 2, arbitrary: fc.constant(() => [query('begin')]) },
  { weight: 3, arbitrary: fc.constantFrom('commit', 'rollback').map((text) => () => [query(text)]) },
  {
    weight: 1,
    arbitrary: fc.constantFrom('', 'ddl t').map((text) => () => [query(text)]),
  },
  { weight: 2, arbitrary: zone.map((name) => () => [query(`set ${name}`)]) },
  { weight: 1, arbitrary: fc.nat(3).map((count) => (tag: string) => [query(`copyout ${tag} ${count}`)]) },
  { weight: 1, arbitrary: fc.nat(9_999).map((oid) => () => [functionCall(oid)]) },
)

const copyInput: fc.Arbitrary<Messages> = fc
  .tuple(
    fc.constantFrom('copyin', 'copyin', 'copyin-bad', 'copyin-early'),
    fc.nat(3),
    fc.boolean(),
    fc.boolean(),
    fc.boolean(),
  )
  .map(([verb, count, givesUp, isExtended, hasEarlySync]) => (tag: string) => {
    const text = `${verb} ${tag}`
    const data = Array.from({ length: count }, (_, row) => copyData(`${tag}.${row}\n`))
    const end = givesUp ? copyFail('no') : copyDone
    if (!isExtended) return [query(text), ...(hasEarlySync ? [sync] : []), ...data, end]
    const command = [closeStatement('copy'), parse('copy', text), bind('copy', 'copy'), execute('copy')]
    return [...command, ...(hasEarlySync ? [sync] : []), ...data, end, sync]
  })

const extended: fc.Arbitrary<Messages> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(anyName, sharedText).map(([name, text]) => () => [parse(name, text)]),
  },
  { weight: 2, arbitrary: anyName.map((name) => (tag: string) => [parse(name, `rows ${tag} 2`)]) },
  { weight: 1, arbitrary: anyName.map((name) => (tag: string) => [parse(name, `bad ${tag}`)]) },
  { weight: 1, arbitrary: anyName.map((name) => () => [parse(name, 'select bad shared-5')]) },
  { weight: 1, arbitrary: fc.nat(3).map((count) => (tag: string) => [query(`rows ${tag} ${count}`)]) },
  {
    weight: 6,
    arbitrary: fc.tuple(portalName, anyName).map(([portal, name]) => (tag: string) => [bind(portal, name, tag)]),
  },
  {
    weight: 5,
    arbitrary: fc.tuple(portalName, fc.nat(2)).map(([portal, rows]) => () => [execute(portal, rows)]),
  },
  { weight: 2, arbitrary: anyName.map((name) => () => [describeStatement(name)]) },
  { weight: 1, arbitrary: portalName.map((name) => () => [describePortal(name)]) },
  { weight: 2, arbitrary: anyName.map((name) => () => [closeStatement(name)]) },
  { weight: 1, arbitrary: portalName.map((name) => () => [closePortal(name)]) },
  { weight: 1, arbitrary: fc.constant(() => [flush]) },
)

/** Whole uses of a statement, as drivers send them. Unusual orders come from `extended`. */
const usual: fc.Arbitrary<Messages> = fc.tuple(anyName, sharedText, fc.boolean()).map(([name, text, describes]) => {
  return (tag: string) => [
    ...(name === '' ? [] : [closeStatement(name)]),
    parse(name, text),
    ...(describes ? [describeStatement(name)] : []),
    bind('', name, tag),
    execute(),
    sync,
  ]
})

/** The same without names, with more ways to describe and execute. */
const parsed: fc.Arbitrary<Messages> = fc
  .tuple(fc.constantFrom('select rows shared-1 1', 'select rows shared-2 3', 'select fail shared-3'), fc.nat(3))
  .map(([text, way]) => {
    return (tag: string) => [
      parse('', text),
      ...(way === 1 ? [describeStatement('')] : way === 2 ? [describeStatement(''), flush] : []),
      bind('', '', tag),
      ...(way === 3 ? [describePortal(), execute('', 1), execute()] : [execute()]),
      sync,
    ]
  })

const onlyRows: fc.Arbitrary<Messages> = fc.nat(3).map((count) => (tag: string) => [query(`rows ${tag} ${count}`)])

const batch: fc.Arbitrary<Turn> = fc
  .tuple(
    fc.array(extended, { minLength: 1, maxLength: 6 }),
    fc.constantFrom('sync', 'sync', 'sync', 'flush', 'nothing'),
  )
  .map(([parts, end]) => ({
    messages: (tag) => {
      const messages = parts.flatMap((part, index) => part(`${tag}${'abcdef'[index]}`))
      return end === 'nothing' ? messages : [...messages, end === 'sync' ? sync : flush]
    },
    standsAlone: false,
    // A batch that is left open may have failed, and then everything after it is skipped.
    hasConsequences: end !== 'sync',
  }))

const turn: fc.Arbitrary<Turn> = fc.oneof(
  { weight: 4, arbitrary: simple.map(alone) },
  { weight: 5, arbitrary: batch },
  { weight: 3, arbitrary: usual.map(alone) },
  { weight: 1, arbitrary: copyInput.map(alone) },
  { weight: 1, arbitrary: fc.constant(alone(() => [query('deallocate all')])) },
  {
    weight: 2,
    arbitrary: fc.constantFrom('discard all', 'reset zone', 'set default').map((text) => alone(() => [query(text)])),
  },
)

function alone(messages: Messages): Turn {
  return { messages, standsAlone: true, hasConsequences: false }
}

export interface Script {
  /** The time zone in its startup packet; null for none. */
  readonly zone: string | null
  readonly turns: readonly Turn[]
}

export const script: fc.Arbitrary<Script> = fc
  .tuple(fc.option(zone), fc.array(turn, { minLength: 1, maxLength: 8 }))
  .map(([startZone, turns]) => ({ zone: startZone, turns, [fc.toStringMethod]: () => show(startZone, turns) }))

/** A script without statement names: each statement is parsed again before each use. */
export const parsingScript: fc.Arbitrary<Script> = fc
  .array(fc.oneof({ weight: 1, arbitrary: onlyRows }, { weight: 4, arbitrary: parsed }), {
    minLength: 1,
    maxLength: 12,
  })
  .map((all) => {
    const turns = all.map(alone)
    return { zone: null, turns, [fc.toStringMethod]: () => show(null, turns) }
  })

/** Shows a script in a counterexample, with the names of its requests. */
function show(startZone: string | null, turns: readonly Turn[]): string {
  const shown = turns.map(({ messages }) => {
    const names: string[] = []
    const reader = new RequestReader()
    new Cutter((frame) => names.push(reader.read(frame).shown)).add(Buffer.concat(messages('TAG')))
    return names.join(' ')
  })
  return [`zone ${startZone}`, ...shown].join('\n  ')
}

/** Ends what a script has left open. */
export const LAST_TURN: Turn = alone((tag) => [sync, query('rollback'), query(`rows ${tag} 1`)])
