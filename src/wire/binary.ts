/** Values in binary format, which clients may request instead of text; some drivers always do. */

export type ValueType = 'bytea' | 'int4' | 'int8' | 'numeric' | 'text'

export function encodeBinary(type: ValueType, value: string | number | bigint): Buffer {
  switch (type) {
    case 'int4': {
      const bytes = Buffer.alloc(4)
      bytes.writeInt32BE(Number(value) | 0)
      return bytes
    }
    case 'int8': {
      const bytes = Buffer.alloc(8)
      bytes.writeBigInt64BE(BigInt(value))
      return bytes
    }
    case 'numeric':
      return encodeNumeric(BigInt(value))
    case 'text':
    case 'bytea':
      return Buffer.from(String(value))
  }
}

const NUMERIC_BASE = 10_000n
const NUMERIC_NEGATIVE = 0x4000

/** An integer as `numeric_send` writes it: the number of base-10,000 digits, the weight of the first, the sign, the scale, the digits. */
function encodeNumeric(value: bigint): Buffer {
  const digits: number[] = []
  for (let rest = value < 0n ? -value : value; rest > 0n; rest /= NUMERIC_BASE)
    digits.unshift(Number(rest % NUMERIC_BASE))
  const weight = Math.max(digits.length - 1, 0)
  while (digits.at(-1) === 0) digits.pop()
  const bytes = Buffer.alloc(8 + 2 * digits.length)
  bytes.writeInt16BE(digits.length)
  bytes.writeInt16BE(weight, 2)
  bytes.writeInt16BE(value < 0n ? NUMERIC_NEGATIVE : 0, 4)
  for (const [index, digit] of digits.entries()) bytes.writeInt16BE(digit, 8 + 2 * index)
  return bytes
}
