import { expect, test } from 'vitest'
import { sendBind, sendDescribe } from '../../../src/client/renaming.ts'
import { encodeDescribeStatement } from '../../../src/wire/frontend.ts'
import { Outbox } from '../../../src/wire/outbox.ts'
import { Writer } from '../../../src/wire/writer.ts'

const SHARED = Buffer.from('pgweir_7')

function sentBy(send: (toServer: Outbox) => void): Buffer {
  const toServer = new Outbox()
  const chunks: Buffer[] = []
  toServer.open({
    write(buffer, start, end) {
      chunks.push(Buffer.from(buffer.subarray(start, end)))
      return end - start
    },
  })
  send(toServer)
  toServer.close()
  return Buffer.concat(chunks)
}

function bindOf(portal: string, name: string): Buffer {
  return new Writer()
    .begin('B')
    .text(portal)
    .text(name)
    .int16(0)
    .int16(1)
    .int32(1)
    .bytes(Buffer.from('1'))
    .int16(0)
    .end()
    .finish()
}

test.each([
  ['', ''],
  ['', 's1'],
  ['c1', 'a name that is longer than ours'],
])('a Bind to the portal %j of the statement %j differs only in the name', (portal, name) => {
  const bind = bindOf(portal, name)
  const nameStart = 5 + portal.length + 1
  const nameEnd = nameStart + name.length
  const expected = bindOf(portal, SHARED.toString())
  const whole = sentBy((toServer) => sendBind(toServer, SHARED, bind, 0, bind.length, bind.length, nameStart, nameEnd))
  expect(whole).toEqual(expected)
  // The rest follows as it comes.
  const first = sentBy((toServer) => sendBind(toServer, SHARED, bind, 0, nameEnd + 1, bind.length, nameStart, nameEnd))
  expect(Buffer.concat([first, bind.subarray(nameEnd + 1)])).toEqual(expected)
})

test('a Describe names the statement by its shared name', () => {
  expect(sentBy((toServer) => sendDescribe(toServer, SHARED))).toEqual(encodeDescribeStatement(SHARED.toString()))
})
