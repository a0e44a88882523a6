/** Base64 for SCRAM, which accepts only the canonical encoding of some bytes. */

export function encodeBase64(bytes: Buffer): string {
  return bytes.toString('base64')
}

/**
 * Returns null unless the text is the canonical encoding. Node's decoder ignores unknown characters and accepts two alphabets, so a proof or
 * salt could be written in several ways; but both sides must sign exactly the same message.
 */
export function decodeBase64(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? bytes : null
}
