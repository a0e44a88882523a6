/** `SET key = value`: gives one setting another value, as if it were in the ini file. */

import type { Settings } from './load.ts'
import { suggestion } from './nearest.ts'
import { NOWHERE, quote } from './problem.ts'
import type { References } from './references.ts'
import { isSettingKey, SETTING_KEYS, SETTINGS, type SettingRow } from './schema.ts'

/** `why` completes the sentence "it cannot be set: …"; null if the setting can only be changed by a restart. */
export type SetOutcome =
  | { readonly settings: Settings; readonly warning: string | null }
  | { readonly why: string | null }

export function withSetting(
  settings: Settings,
  key: string,
  text: string,
  references: Pick<References, 'resolve'>,
): SetOutcome {
  if (!isSettingKey(key)) return { why: `there is no setting ${quote(key)}${suggestion(key, SETTING_KEYS)}` }
  const { type, access, noEffect, isSecret = false } = SETTINGS[key] as SettingRow<unknown>
  // As with a flag, a secret may be given as `file:PATH`.
  const resolved = isSecret ? references.resolve(text, isSecret) : { value: text }
  if ('problem' in resolved) return { why: `${key} ${resolved.problem}` }
  const parsed = type.parse(resolved.value)
  if ('problem' in parsed) return { why: `${key} cannot be ${quote(text)}: ${parsed.problem}` }
  if (access === 'restart') return { why: null }
  return {
    settings: {
      ...settings,
      general: { ...settings.general, [key]: parsed.value },
      origins: { ...settings.origins, [key]: { from: 'console', ...NOWHERE } },
    },
    warning: noEffect === undefined ? null : `${key} has no effect: ${noEffect}`,
  }
}
