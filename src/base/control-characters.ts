/**
 * Control characters of texts that strangers have chosen: on a terminal they would paint, move and type. Those of bidirectional text
 * would turn round all that stands behind them in the line. Pure.
 */

export const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g

/** For one line on a terminal; as long as before. */
export function withoutControls(text: string): string {
  return text.replace(CONTROLS, '?')
}

/** The same for several lines, which may be indented. */
export function linesWithoutControls(text: string): string {
  return text.replace(CONTROLS, (character) => (character === '\n' || character === '\t' ? character : '?'))
}

/** In JSON, where JSON itself leaves DEL and those of Latin-1 as they are. */
export function escapedControls(json: string): string {
  return json.replace(CONTROLS, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
