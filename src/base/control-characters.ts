/** Control characters of texts that strangers have chosen: on a terminal they would paint, move and type. Pure. */

const CONTROLS = /[\u0000-\u001f\u007f-\u009f]/g

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
