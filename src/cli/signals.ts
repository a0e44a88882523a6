/** Tells the wish to stop in good order from the wish to end at once, for commands that run until a signal comes. */

/** npm passes on the Ctrl-C that the terminal has sent to its script already: so soon after the first, a signal is but its echo. */
export const ECHO_MS = 500

/** A listener for SIGINT and SIGTERM: the first signal asks to stop, a later one to end at once. */
export function stopListener(stop: () => void, endAtOnce: () => void): () => void {
  let askedMs: number | null = null
  return () => {
    if (askedMs === null) {
      askedMs = performance.now()
      stop()
    } else if (performance.now() - askedMs >= ECHO_MS) endAtOnce()
  }
}
