/** Guards the pages with data: if `http_token` is set, a request must carry that token. The health pages and the empty live page are open. */

import { createHash, timingSafeEqual } from 'node:crypto'
import { type Answer, plain } from './http-server.ts'

/** @param token called for each request; returns an empty text if no token is needed */
export function guarded(token: () => string, answer: Answer): Answer {
  return (request) => (isAllowed(token(), request.headers.authorization ?? '') ? answer(request) : REFUSAL)
}

/**
 * Whether the Authorization header carries the token. Compares bytes (each character of the header is one byte), in a time that does not
 * depend on where they differ.
 */
export function isAllowed(token: string, authorization: string): boolean {
  if (token === '') return true
  // Each run of spaces can be matched in one way only, so that the work does not grow with the square of its length.
  const [, brought] = /^bearer +([^ ]+(?: +[^ ]+)*) *$/i.exec(authorization) ?? []
  return brought !== undefined && timingSafeEqual(digest(Buffer.from(brought, 'latin1')), digest(Buffer.from(token)))
}

const REFUSAL = { ...plain(401, 'unauthorized\n'), headers: { 'WWW-Authenticate': 'Bearer' } }

function digest(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest()
}
