/**
 * Random messages of both directions for property tests: well formed, and built by hand so that they test `src/wire` independently. They are
 * short and use few different names, so that the interesting collisions happen.
 */

import fc from 'fast-check'
import { BACKEND, FRONTEND } from '../../src/wire/types.ts'

export type FrontendName = keyof typeof FRONTEND
export type BackendName = keyof typeof BACKEND

/** One whole message: its name in `wire/types.ts`, and all of its bytes. */
export interface RandomFrame<Name extends string> {
  readonly name: Name
  readonly bytes: Buffer
}

export type FrontendFrame = RandomFrame<FrontendName>
export type BackendFrame = RandomFrame<BackendName>

/** A header of five bytes and a body. `claimed` sets another length than the real one; it counts itself, but not the type. */
export function rawFrame(type: number, body: Buffer, claimed = body.length + 4): Buffer {
  return Buffer.concat([Buffer.of(type), int32(claimed), body])
}

/** Text without zero bytes; not only ASCII. */
export const someText: fc.Arbitrary<string> = fc
  .string({ unit: 'grapheme', maxLength: 12 })
  .map((text) => text.replaceAll('\0', ''))

/** Text of any code units, including controls, zero bytes and halves of surrogate pairs. */
export const anyText: fc.Arbitrary<string> = fc.string({
  unit: fc
    .oneof(fc.integer({ max: 0xff, min: 0 }), fc.integer({ max: 0xffff, min: 0 }))
    .map((code) => String.fromCharCode(code)),
  maxLength: 40,
})

export const someBytes: fc.Arbitrary<Buffer> = fc.uint8Array({ maxLength: 24 }).map((bytes) => Buffer.from(bytes))

/** The sizes of the pieces of a stream, for `cutInSizes`. */
export const someSizes: fc.Arbitrary<number[]> = fc.array(fc.integer({ min: 1, max: 40 }), {
  minLength: 1,
  maxLength: 8,
})

/** Statement and portal names: often empty, and few enough to repeat. */
export const someName: fc.Arbitrary<string> = fc.constantFrom('', 's1', 's2', 'größer')

export const someOid: fc.Arbitrary<number> = fc.constantFrom(20, 23, 25, 1700, 0xffff_fffe)

const NOTHING = fc.constant(Buffer.alloc(0))

const target = fc.tuple(fc.constantFrom('S', 'P'), someName).map(([kind, name]) => join(Buffer.from(kind), text(name)))
const formats = fc.array(fc.constantFrom(0, 1), { maxLength: 3 })
const values = fc.array(fc.option(someBytes), { maxLength: 3 })

const FRONTEND_BODIES: Readonly<Record<FrontendName, fc.Arbitrary<Buffer>>> = {
  bind: fc
    .tuple(someName, someName, formats, values, formats)
    .map(([portal, statement, inputs, parameters, outputs]) =>
      join(
        text(portal),
        text(statement),
        counted(inputs.map(int16)),
        counted(parameters.map(sized)),
        counted(outputs.map(int16)),
      ),
    ),
  close: target,
  copyData: someBytes,
  copyDone: NOTHING,
  copyFail: someText.map(text),
  describe: target,
  execute: fc.tuple(someName, fc.nat(100)).map(([portal, rows]) => join(text(portal), int32(rows))),
  flush: NOTHING,
  functionCall: fc
    .tuple(someOid, formats, values)
    .map(([oid, inputs, parameters]) =>
      join(int32(oid), counted(inputs.map(int16)), counted(parameters.map(sized)), int16(0)),
    ),
  parse: fc
    .tuple(someName, someText, fc.array(someOid, { maxLength: 3 }))
    .map(([name, sql, oids]) => join(text(name), text(sql), counted(oids.map(int32)))),
  password: someText.map(text),
  query: someText.map(text),
  sync: NOTHING,
  terminate: NOTHING,
}

const notice = fc
  .tuple(
    fc.constantFrom('ERROR', 'FATAL', 'WARNING', 'NOTICE'),
    fc.constantFrom('00000', '42601', '57P01'),
    someText,
    fc.option(someText),
  )
  .map(([severity, sqlstate, message, detail]) => {
    const fields = [`S${severity}`, `V${severity}`, `C${sqlstate}`, `M${message}`, 'Fpostgres.c', 'L42']
    if (detail !== null) fields.push(`D${detail}`)
    return join(...fields.map(text), Buffer.of(0))
  })

const copyResponse = formats.map((columns) => join(Buffer.of(0), counted(columns.map(int16))))

const BACKEND_BODIES: Readonly<Record<BackendName, fc.Arbitrary<Buffer>>> = {
  authentication: fc.oneof(
    fc.constantFrom(0, 3).map(int32),
    fc.uint8Array({ minLength: 4, maxLength: 4 }).map((salt) => join(int32(5), Buffer.from(salt))),
    fc.constant(join(int32(10), text('SCRAM-SHA-256-PLUS'), text('SCRAM-SHA-256'), Buffer.of(0))),
    fc.tuple(fc.constantFrom(11, 12), someText).map(([step, data]) => join(int32(step), Buffer.from(data))),
  ),
  backendKeyData: fc
    .tuple(fc.nat(), fc.uint8Array({ minLength: 4, maxLength: 32 }))
    .map(([pid, key]) => join(int32(pid), Buffer.from(key))),
  bindComplete: NOTHING,
  closeComplete: NOTHING,
  commandComplete: fc.constantFrom('SELECT 1', 'INSERT 0 1', 'BEGIN', 'COMMIT', 'ROLLBACK', 'SET', 'LISTEN').map(text),
  copyBoth: copyResponse,
  copyData: someBytes,
  copyDone: NOTHING,
  copyIn: copyResponse,
  copyOut: copyResponse,
  dataRow: values.map((cells) => counted(cells.map(sized))),
  emptyQuery: NOTHING,
  error: notice,
  functionCallResponse: fc.option(someBytes).map(sized),
  negotiateProtocolVersion: fc
    .array(someText, { maxLength: 2 })
    .map((names) => join(int32(0x0003_0000), int32(names.length), ...names.map(text))),
  noData: NOTHING,
  notice,
  notification: fc
    .tuple(fc.nat(), someText, someText)
    .map(([pid, channel, payload]) => join(int32(pid), text(channel), text(payload))),
  parameterDescription: fc.array(someOid, { maxLength: 3 }).map((oids) => counted(oids.map(int32))),
  parameterStatus: fc
    .tuple(fc.constantFrom('TimeZone', 'client_encoding', 'search_path'), someText)
    .map(([name, value]) => join(text(name), text(value))),
  parseComplete: NOTHING,
  portalSuspended: NOTHING,
  readyForQuery: fc.constantFrom('I', 'T', 'E').map((status) => Buffer.from(status)),
  rowDescription: fc
    .array(fc.tuple(someText, someOid), { maxLength: 3 })
    .map((columns) =>
      counted(
        columns.map(([name, oid]) => join(text(name), int32(0), int16(0), int32(oid), int16(-1), int32(-1), int16(0))),
      ),
    ),
}

export const FRONTEND_NAMES = Object.keys(FRONTEND_BODIES) as FrontendName[]
export const BACKEND_NAMES = Object.keys(BACKEND_BODIES) as BackendName[]

/** A message of one of the given kinds, or of any kind if none is given. */
export function frontendFrame(...names: readonly FrontendName[]): fc.Arbitrary<FrontendFrame> {
  return frameOf(FRONTEND, FRONTEND_BODIES, names.length > 0 ? names : FRONTEND_NAMES)
}

/** A message of one of the given kinds, or of any kind if none is given. */
export function backendFrame(...names: readonly BackendName[]): fc.Arbitrary<BackendFrame> {
  return frameOf(BACKEND, BACKEND_BODIES, names.length > 0 ? names : BACKEND_NAMES)
}

/** Messages of the extended protocol in any order and number, and the Sync that ends them. */
export const extendedBatch: fc.Arbitrary<FrontendFrame[]> = fc
  .tuple(
    fc.array(frontendFrame('parse', 'bind', 'describe', 'execute', 'close', 'flush'), { maxLength: 8 }),
    frontendFrame('sync'),
  )
  .map(([requests, sync]) => [...requests, sync])

/** What Postgres may answer to one simple query, up to ReadyForQuery; notices and status changes may come in between. */
export const simpleReply: fc.Arbitrary<BackendFrame[]> = fc
  .tuple(
    fc.array(
      fc.oneof(
        framesOf(fc.array(backendFrame('notice', 'parameterStatus', 'notification'), { maxLength: 2 })),
        framesOf(fc.tuple(backendFrame('commandComplete'))),
        framesOf(fc.tuple(backendFrame('emptyQuery'))),
        fc
          .tuple(
            backendFrame('rowDescription'),
            fc.array(backendFrame('dataRow'), { maxLength: 5 }),
            backendFrame('commandComplete', 'error'),
          )
          .map(([description, rows, outcome]) => [description, ...rows, outcome]),
      ),
      { maxLength: 3 },
    ),
    backendFrame('readyForQuery'),
  )
  .map(([parts, ready]) => [...parts.flat(), ready])

export function allBytes(frames: readonly RandomFrame<string>[]): Buffer {
  return Buffer.concat(frames.map((frame) => frame.bytes))
}

function frameOf<Name extends string>(
  types: Readonly<Record<Name, number>>,
  bodies: Readonly<Record<Name, fc.Arbitrary<Buffer>>>,
  names: readonly Name[],
): fc.Arbitrary<RandomFrame<Name>> {
  return fc.oneof(...names.map((name) => bodies[name].map((body) => ({ name, bytes: rawFrame(types[name], body) }))))
}

function framesOf(frames: fc.Arbitrary<BackendFrame[]>): fc.Arbitrary<BackendFrame[]> {
  return frames
}

function join(...parts: readonly Buffer[]): Buffer {
  return Buffer.concat(parts)
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value | 0)
  return bytes
}

function text(value: string): Buffer {
  return Buffer.from(`${value}\0`)
}

/** The number of parts, and then each of them. */
function counted(parts: readonly Buffer[]): Buffer {
  return join(int16(parts.length), ...parts)
}

/** A value and its length, or NULL. */
function sized(value: Buffer | null): Buffer {
  return value === null ? int32(-1) : join(int32(value.length), value)
}
