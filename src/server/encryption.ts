/** Encrypts a connection to a server before anything else is sent: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL */

import type { Channel } from '../net/channel.ts'
import { askedForTls } from '../net/secured.ts'
import type { ClientSide, Opening } from '../net/tls.ts'
import { SSL_REQUEST_PACKET } from '../wire/startup.ts'
import { CANNOT_START } from './login.ts'

export interface ServerEncryption extends ClientSide {
  /** Whether to refuse a server without TLS. */
  readonly isRequired: boolean
  /** Whether TLS begins with the first byte, without an SSLRequest: `sslnegotiation = direct`. Servers support that from PostgreSQL 17 on. */
  readonly isDirect: boolean
  /** Differs if any of the settings, or the content of their files, differs. */
  readonly fingerprint: string
}

const DIRECT: Opening = { isDirect: true }
const AGREED: Opening = { isDirect: false }
const YES = 0x53
const NO = 0x4e
const ERROR = 0x45

const STRICTNESS = ['nothing', 'certificate', 'host'] as const satisfies readonly ServerEncryption['verifies'][]

/** Returns the current encryption, with its current keys and authorities, unless it is less strict than the one that the server was opened with. */
export function atLeast(opened: ServerEncryption, now: ServerEncryption | null): ServerEncryption {
  const isLess = now === null || STRICTNESS.indexOf(now.verifies) < STRICTNESS.indexOf(opened.verifies)
  return isLess ? opened : now
}

/**
 * Encrypts the channel and calls `done` with the channel to continue with, which may be the same one, or with an error. The caller then sets
 * that channel's listener or, after an error, closes the channel that it has passed.
 *
 * @param host the name that the server's certificate must be valid for
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
      // Do not repeat the text of the error (libpq does not either): it is not authenticated, so a man in the middle could have sent it.
      if (answer === ERROR) end(new Error(`the server answered SSLRequest with an error, ${CANNOT_START}`))
      // Bytes behind the answer were sent in clear text, perhaps by a man in the middle.
      else if (bufferEnd - start > 1) end(new Error('the server sent more than one byte in answer to SSLRequest'))
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
