/** The type bytes of messages: https://www.postgresql.org/docs/current/protocol-message-formats.html */

function code<const Letters extends Record<string, string>>(
  letters: Letters,
): { readonly [Name in keyof Letters]: number } {
  return Object.fromEntries(Object.entries(letters).map(([name, letter]) => [name, letter.charCodeAt(0)])) as {
    readonly [Name in keyof Letters]: number
  }
}

/** Messages from clients. */
export const FRONTEND = code({
  bind: 'B',
  close: 'C',
  copyData: 'd',
  copyDone: 'c',
  copyFail: 'f',
  describe: 'D',
  execute: 'E',
  flush: 'H',
  functionCall: 'F',
  parse: 'P',
  password: 'p',
  query: 'Q',
  sync: 'S',
  terminate: 'X',
})

/** Messages from servers. */
export const BACKEND = code({
  authentication: 'R',
  backendKeyData: 'K',
  bindComplete: '2',
  closeComplete: '3',
  commandComplete: 'C',
  copyBoth: 'W',
  copyData: 'd',
  copyDone: 'c',
  copyIn: 'G',
  copyOut: 'H',
  dataRow: 'D',
  emptyQuery: 'I',
  error: 'E',
  functionCallResponse: 'V',
  negotiateProtocolVersion: 'v',
  noData: 'n',
  notice: 'N',
  notification: 'A',
  parameterDescription: 't',
  parameterStatus: 'S',
  parseComplete: '1',
  portalSuspended: 's',
  readyForQuery: 'Z',
  rowDescription: 'T',
})

/** Formats a message type for errors and logs. */
export function typeName(type: number): string {
  return type > 0x20 && type < 0x7f ? `'${String.fromCharCode(type)}'` : `0x${type.toString(16).padStart(2, '0')}`
}
