/** `SET key = value`: one setting with another value, as if the file said so. */

import type { Settings } from './load.ts'
import { suggestion } from './nearest.ts'
import { NOWHERE, quote } from './problem.ts'
import { isSettingKey, SETTING_KEYS, SETTINGS, type SettingRow } from './schema.ts'

/** `why` completes the sentence "it cannot be set: …"; null where nothing but a restart can change it. */
export type SetOutcome =
  | { readonly settings: Settings; readonly warning: string | null }
  | { readonly why: string | null }

export function withSetting(settings: Settings, key: string, text: string): SetOutcome {
  if (!isSettingKey(key)) return { why: `there is no setting ${quote(key)}${suggestion(key, SETTING_KEYS)}` }
  const { type, access, noEffect } = SETTINGS[key] as SettingRow<unknown>
  const parsed = type.parse(text)
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
