/** Wraps a memory channel in a Node stream, for Node's own TLS. */

import { Duplex } from 'node:stream'
import type { MemoryChannel } from '../../src/net/memory-transport.ts'

export function duplexOf(channel: MemoryChannel): Duplex {
  const duplex = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      channel.write(chunk, 0, chunk.length)
      done()
    },
    final(done) {
      channel.hangUp()
      done()
    },
    destroy(problem, done) {
      channel.destroy()
      done(problem)
    },
  })
  channel.listener = {
    onRead: (buffer, start, end) => void duplex.push(Buffer.from(buffer.subarray(start, end))),
    onDrained() {},
    onClosed: () => void duplex.push(null),
  }
  return duplex
}
