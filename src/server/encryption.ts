/** Asks a server for TLS before anything else is said: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL */

import type { Channel } from '../net/channel.ts'
import { askedForTls } from '../net/secured.ts'
import type { ClientSide, Opening } from '../net/tls.ts'
import { SSL_REQUEST_PACKET } from '../wire/startup.ts'
import { CANNOT_START } from './login.ts'

export interface ServerEncryption extends ClientSide {
  /** A server without TLS is not talked to. */
  readonly isRequired: boolean
  /** TLS begins with the first byte, without being asked for: `sslnegotiation = direct`. PostgreSQL can do that since 17. */
  readonly isDirect: boolean
  /** Another one where any of it is different, with what is in the files. */
  readonly fingerprint: string
}

const DIRECT: Opening = { isDirect: true }
const AGREED: Opening = { isDirect: false }
const YES = 0x53
const NO = 0x4e
const ERROR = 0x45

const STRICTNESS = ['nothing', 'certificate', 'host'] as const satisfies readonly ServerEncryption['verifies'][]

/** What holds now, with the keys and authorities of now, unless less is asked for than when it was opened. */
export function atLeast(opened: ServerEncryption, now: ServerEncryption | null): ServerEncryption {
  const isLess = now === null || STRICTNESS.indexOf(now.verifies) < STRICTNESS.indexOf(opened.verifies)
  return isLess ? opened : now
}

/**
 * `done` is told the channel to go on with, which may be the same, or what is wrong. Nobody listens to the channel then; where something
 * is wrong it is closed.
 *
 * @param host what the server's certificate must be for
 */
export function encrypt(
  channel: Channel,
  encryption: ServerEncryption,
  host: string,
  done: (result: Channel | Error) => void,
): void {
  if (encryption.isDirect) {
    done(askedForTls(channel, encryption, host, DIRECT) ?? new Error('the connection cannot be encrypted'))
    return
  }
  let isOver = false
  const end = (result: Channel | Error) => {
    if (isOver) return
    isOver = true
    done(result)
  }
  channel.listener = {
    onRead(buffer, start, bufferEnd) {
      const answer = buffer[start]
      // What it says is not repeated, as libpq has it too: anybody in between could have said it.
      if (answer === ERROR) end(new Error(`the server has answered SSLRequest with an error, ${CANNOT_START}`))
      // What came behind it was sent in the clear, perhaps by somebody in between.
      else if (bufferEnd - start > 1) end(new Error('the server has sent more than one byte in answer to SSLRequest'))
      else if (answer === YES)
        end(askedForTls(channel, encryption, host, AGREED) ?? new Error('the connection cannot be encrypted'))
      else if (answer !== NO) end(new Error('the server does not understand SSLRequest'))
      else if (encryption.isRequired)
        end(new Error('the server does not support TLS, and server_tls_sslmode requires it'))
      else end(channel)
    },
    onDrained() {},
    onClosed: (problem) => end(problem ?? new Error('the server closed the connection in answer to SSLRequest')),
  }
  channel.write(SSL_REQUEST_PACKET, 0, SSL_REQUEST_PACKET.length)
}
