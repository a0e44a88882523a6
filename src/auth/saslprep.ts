/** Prepares a password for SCRAM, by the rules of Postgres. https://www.rfc-editor.org/rfc/rfc4013 */

import {
  HAS_LEFT_TO_RIGHT,
  HAS_RIGHT_TO_LEFT,
  MAPPED_TO_NOTHING,
  NON_ASCII_SPACES,
  PROHIBITED,
  STARTS_AND_ENDS_RIGHT_TO_LEFT,
  UNASSIGNED,
} from './saslprep-tables.ts'

/** Never fails: like Postgres, it uses the password unchanged if the RFC would refuse it, or if it is not UTF-8. */
export function saslprep(password: string | Buffer): Buffer {
  const raw = Buffer.from(password) // a copy, since the received bytes may be in a buffer that is reused
  const text = typeof password === 'string' ? password : raw.toString('utf8')
  if (!/[^\0-\x7f]/.test(text)) return raw

  const mapped = text.replace(NON_ASCII_SPACES, ' ').replace(MAPPED_TO_NOTHING, '')
  // Bytes that are not UTF-8 have become U+FFFD by now, which is prohibited.
  // The RFC checks the result of the normalization. Postgres checks its input, and we must agree with Postgres.
  const isRefused = mapped === '' || PROHIBITED.test(mapped) || UNASSIGNED.test(mapped) || mixesDirections(mapped)
  return isRefused ? raw : Buffer.from(mapped.normalize('NFKC'))
}

function mixesDirections(text: string): boolean {
  return HAS_RIGHT_TO_LEFT.test(text) && (HAS_LEFT_TO_RIGHT.test(text) || !STARTS_AND_ENDS_RIGHT_TO_LEFT.test(text))
}
