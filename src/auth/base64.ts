/** Base64 as SCRAM has it: the one canonical spelling of some bytes, or nothing. */

export function encodeBase64(bytes: Buffer): string {
  return bytes.toString('base64')
}

/**
 * Node skips what it does not know and takes two alphabets. A proof or a salt with a second spelling is refused instead:
 * whatever signs a message must mean exactly what the other side meant.
 */
export function decodeBase64(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? bytes : null
}
