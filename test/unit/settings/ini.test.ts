import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { diskFiles, type Files, readIni, splitEntry } from '../../../src/settings/ini.ts'
import { formatProblem, type Problem } from '../../../src/settings/problem.ts'
import { virtualFiles } from './virtual-files.ts'

function read(files: Files, path = 'main.ini') {
  const problems: Problem[] = []
  const { headings, entries } = readIni(path, files, problems)
  return {
    entries: entries.map(({ section, key, value, file, line }) => `${file}:${line} [${section}] ${key} = ${value}`),
    headings: headings.map(({ section }) => section),
    told: problems.map(formatProblem),
  }
}

const readText = (text: string) => read(virtualFiles({ 'main.ini': text }))

describe('ini text', () => {
  test('is sections and entries that know their file and line', () => {
    const { entries, headings, told } = readText('[pgbouncer]\n\nlisten_port = 6432\n  pool_mode=session  \n[users]\n')
    expect(entries).toEqual(['main.ini:3 [pgbouncer] listen_port = 6432', 'main.ini:4 [pgbouncer] pool_mode = session'])
    expect(headings).toEqual(['pgbouncer', 'users'])
    expect(told).toEqual([])
  })

  test('has comments only on lines of their own, so that values may contain ; and #', () => {
    const { entries, told } = readText('; one\n  # two\n[databases] ; three\napp = password=a;b#c\n')
    expect(entries).toEqual(['main.ini:4 [databases] app = password=a;b#c'])
    expect(told).toEqual([])
  })

  test('may come from Windows, with CRLF and a byte order mark', () => {
    expect(readText('\uFEFF[pgbouncer]\r\nverbose = 1\r\n').entries).toEqual(['main.ini:2 [pgbouncer] verbose = 1'])
  })

  test('in another encoding is reported once; single lines that are not UTF-8 are reported only where they count', () => {
    const ofWindows = Buffer.from('\ufeff[a]\nb = c\n', 'utf16le').toString('utf8')
    expect(readText(ofWindows).told).toEqual(['main.ini:1: error: the file is not UTF-8; save it as UTF-8'])
    const latin1 = Buffer.from('; caf\xe9\n[a]\nb = caf\xe9\n', 'latin1').toString('utf8')
    expect(readText(latin1).told).toEqual([
      'main.ini:3: warning: this line is not valid UTF-8; its invalid bytes were replaced',
    ])
  })

  test('keeps an empty value', () => {
    expect(readText('[pgbouncer]\nlogfile =\n').entries).toEqual(['main.ini:2 [pgbouncer] logfile = '])
  })

  test('has all its mistakes reported at once, without repeating a line', () => {
    const { told, entries } = readText(
      'secret = 1\n[pgbouncer\n[databases]\nsecret\nmy$db = secret\n%frobnicate secret\napp = x=1\n',
    )
    expect(told).toEqual([
      expect.stringContaining('main.ini:1: error: this line is before the first section'),
      expect.stringContaining('main.ini:2: error: this heading has no closing bracket'),
      expect.stringContaining('main.ini:4: error: this line is not "key = value"'),
      expect.stringContaining('main.ini:5: error: this line is not "key = value"'),
      expect.stringContaining('main.ini:6: error: the only directive is "%include FILE"'),
    ])
    expect(told.join()).not.toContain('secret')
    expect(entries).toHaveLength(1)
  })

  test('accepts names with unusual characters in double quotes', () => {
    expect(splitEntry('"my db" = host=a')).toEqual({ key: 'my db', value: 'host=a' })
    expect(splitEntry('"a""b"=x')).toEqual({ key: 'a"b', value: 'x' })
    expect(splitEntry('* = host=a')).toEqual({ key: '*', value: 'host=a' })
    expect(splitEntry('"open = x')).toBeNull()
  })
})

describe('%include', () => {
  test('reads another file in place, and sections continue into it and out of it', () => {
    const files = virtualFiles({
      'main.ini': '[pgbouncer]\n%include more.ini\napp = host=a',
      'more.ini': 'verbose = 1\n[databases]\n',
    })
    expect(read(files).entries).toEqual(['more.ini:1 [pgbouncer] verbose = 1', 'main.ini:3 [databases] app = host=a'])
  })

  test('looks in the current directory first, then next to the including file', () => {
    const files = virtualFiles({
      'etc/main.ini': '[pgbouncer]\n%include one.ini\n%include two.ini',
      'one.ini': 'one = current',
      'etc/one.ini': 'one = beside',
      'etc/two.ini': 'two = beside',
    })
    expect(read(files, 'etc/main.ini').entries).toEqual([
      'one.ini:1 [pgbouncer] one = current',
      'etc/two.ini:1 [pgbouncer] two = beside',
    ])
  })

  test('of a directory reads its *.ini and *.conf files in order of name, except hidden ones', () => {
    const files = virtualFiles({
      'main.ini': '[pgbouncer]\n%include conf.d',
      'conf.d/30-c.ini': 'c = 3',
      'conf.d/20-b.conf': 'b = 2',
      'conf.d/.#10-a.ini': 'nonsense',
      'conf.d/40-d.ini.bak': 'nonsense',
      'conf.d/10-a.ini': 'a = 1',
      'conf.d/readme.txt': 'nonsense',
    })
    expect(read(files).entries).toEqual([
      'conf.d/10-a.ini:1 [pgbouncer] a = 1',
      'conf.d/20-b.conf:1 [pgbouncer] b = 2',
      'conf.d/30-c.ini:1 [pgbouncer] c = 3',
    ])
  })

  test('of a missing file is reported on its own line, and the rest is read', () => {
    const { told, entries } = readText('[pgbouncer]\n%include gone.ini\nverbose = 1')
    expect(told).toEqual(['main.ini:2: error: "gone.ini" cannot be read: there is no such file'])
    expect(entries).toHaveLength(1)
  })

  test('that leads back to the same file is reported and goes no further', () => {
    const files = virtualFiles({ 'main.ini': '%include ./a.ini', 'a.ini': '%include main.ini' })
    expect(read(files).told).toEqual(['./a.ini:1: error: "main.ini" includes itself'])
  })

  test('nested more deeply than PgBouncer allows is reported', () => {
    const chain = Object.fromEntries(Array.from({ length: 12 }, (_, n) => [`${n}.ini`, `%include ${n + 1}.ini`]))
    expect(read(virtualFiles(chain), '0.ini').told).toEqual([
      '10.ini:1: error: %include is nested more than 10 files deep',
    ])
  })
})

test('a missing main file is an error too', () => {
  expect(read(virtualFiles({})).told).toEqual(['main.ini: error: "main.ini" cannot be read: there is no such file'])
})

test('a file or directory that the system does not let pgweir read is an error on its line, and the rest is read', () => {
  const files = virtualFiles({ 'main.ini': '[pgbouncer]\n%include conf.d\nverbose = 1', 'conf.d/a.ini': '' })
  const list = () => {
    throw Object.assign(new Error('no'), { code: 'EACCES' })
  }
  const { told, entries } = read({ ...files, list })
  expect(told).toEqual(['main.ini:2: error: "conf.d" cannot be read: permission denied'])
  expect(entries).toHaveLength(1)
  const tooLong = 'x'.repeat(300)
  const onDisk = {
    ...diskFiles,
    read: (path: string) => (path === 'main.ini' ? `%include ${tooLong}` : diskFiles.read(path)),
  }
  expect(read(onDisk).told).toEqual([expect.stringContaining('cannot be read: ENAMETOOLONG')])
})

test('real files and directories can be read too', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pgweir-ini-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  mkdirSync(join(folder, 'conf.d'))
  writeFileSync(join(folder, 'main.ini'), '[pgbouncer]\n%include conf.d\n%include gone.ini\n')
  writeFileSync(join(folder, 'conf.d', 'a.ini'), 'verbose = 1\n')
  const { entries, told } = read(diskFiles, join(folder, 'main.ini'))
  expect(entries).toEqual([`${folder}/conf.d/a.ini:1 [pgbouncer] verbose = 1`])
  expect(told).toEqual([expect.stringContaining('main.ini:3: error: "gone.ini" cannot be read')])
})
