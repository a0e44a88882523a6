/** Who may see more than whether pgweir is well: everybody, or whoever brings the token. */

import { createHash, timingSafeEqual } from 'node:crypto'
import { type Answer, plain } from './http-server.ts'

/** @param token asked for at each request; empty if none is needed */
export function guarded(token: () => string, answer: Answer): Answer {
  return (request) => (isAllowed(token(), request.headers.authorization ?? '') ? answer(request) : REFUSAL)
}

/** By its bytes, each of which is a character of the header. Takes the same time wherever what was brought is different. */
export function isAllowed(token: string, authorization: string): boolean {
  if (token === '') return true
  const [, brought] = /^bearer +(\S.*?) *$/i.exec(authorization) ?? []
  return brought !== undefined && timingSafeEqual(digest(Buffer.from(brought, 'latin1')), digest(Buffer.from(token)))
}

const REFUSAL = { ...plain(401, 'unauthorized\n'), headers: { 'WWW-Authenticate': 'Bearer' } }

function digest(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest()
}
