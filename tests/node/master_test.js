'use strict'
// Masters in Node, children in C++: node --test master_test.js, with TS_EVENT_BUS the package, NODE_TEST_CHILD and
// ECHO_CHILD the programs.

const assert = require('node:assert')
const { fork, spawn } = require('node:child_process')
const { once } = require('node:events')
const { afterEach, test } = require('node:test')
const { createEventBus, slot, GenericChannel } = require(process.env.TS_EVENT_BUS)

class ChildChannel extends GenericChannel {
  constructor(child, timeout = 5000) {
    super(timeout)
    this.child = child
    child.on('message', (message) => this._messageReceived(message))
    child.on('disconnect', () => this._disconnected())
    this._connected()
  }

  send(message) {
    if (this.child.connected) this.child.send(message)
  }
}

const names = [
  'echo_string', 'echo_integer', 'echo_number', 'echo_bool', 'echo_list', 'echo_map', 'echo_optional', 'echo_order',
  'echo_bytes', 'nothing', 'fail', 'by_param', 'late', 'pid', 'run', 'run_for_integer', 'ask_master', 'progress',
]

const children = []
const start = ({ program = process.env.NODE_TEST_CHILD, slots = names, serialization = 'json', timeout } = {}) => {
  const child = spawn(program, [], { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], serialization })
  children.push(child)
  child.errors = ''
  child.stderr.on('data', (text) => (child.errors += text))
  const events = Object.fromEntries(slots.map((name) => [name, slot()]))
  return { child, bus: createEventBus({ events, channels: [new ChildChannel(child, timeout)] }) }
}

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

const order = {
  number: 17,
  how_large: 'large',
  items: [{ name: 'cup', price: 2.5, note: 'blue' }, { name: 'plate', price: 0, note: null }],
  table: { a: [1, 2], b: [] },
  tag: 'urgent',
  gift: null,
  paid: true,
}

test('values of every JSON type come back', async () => {
  const { bus } = start()
  for (const x of ['', 'plain', '"\\\n\u0000\u2028', '\u20ac \u{1F600}']) assert.strictEqual(await bus.echo_string(x), x)
  for (const x of [0, -1, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER])
    assert.strictEqual(await bus.echo_integer(x), x)
  for (const x of [0.1, -1.5, 1e308, 5e-324, 1 / 3]) assert.strictEqual(await bus.echo_number(x), x)
  for (const x of [true, false]) assert.strictEqual(await bus.echo_bool(x), x)
  for (const x of [[], [1, -2, 3]]) assert.deepStrictEqual(await bus.echo_list(x), x)
  for (const x of [{}, { a: 'b', '': 'empty' }]) assert.deepStrictEqual(await bus.echo_map(x), x)
  assert.deepStrictEqual(await bus.echo_order(order), order)
  assert.deepStrictEqual(await bus.echo_bytes(Buffer.from([0, 1, 255])), [0, 1, 255])
})

test('undefined and null are an empty optional', async () => {
  const { bus } = start()
  assert.strictEqual(await bus.echo_optional(undefined), null)
  assert.strictEqual(await bus.echo_optional(null), null)
  assert.strictEqual(await bus.echo_optional(5), 5)
})

test('a missing optional member is empty', async () => {
  const { bus } = start()
  const { gift, ...rest } = order
  assert.deepStrictEqual(await bus.echo_order(rest), order)
})

test('void is undefined', async () => {
  const { bus } = start()
  assert.strictEqual(await bus.nothing(), undefined)
  assert.strictEqual(await bus.nothing(null), undefined)
  await assert.rejects(bus.nothing(5), /a request without data was expected, int64 came on nothing/)
})

test('a request of another type is an error that says where', async () => {
  const { bus } = start()
  await assert.rejects(bus.echo_string(5), /a string was expected, int64 came/)
  await assert.rejects(bus.echo_string(undefined), /no data/)
  await assert.rejects(bus.echo_order({ ...order, number: 'x' }), /number: an integer was expected, string came/)
  await assert.rejects(bus.echo_order({ ...order, more: 1 }), /member more is not declared/)
  assert.strictEqual(await bus.echo_string('fine'), 'fine')
})

test('an integer that a double cannot hold is an error in both directions', async () => {
  const { bus } = start()
  await assert.rejects(bus.echo_integer(2 ** 53), /beyond 2\^53 - 1/)
  await assert.rejects(bus.echo_integer(1.5), /an integer was expected/)
  await assert.rejects(bus.run_for_integer('max'), /9223372036854775807 is beyond 2\^53 - 1/)
})

test('errors of handlers keep their message', async () => {
  const { bus } = start()
  await assert.rejects(bus.fail('no luck'), /no luck on fail with param \$_DEFAULT_\$/)
})

test('parameters choose the handler', async () => {
  const { bus } = start()
  assert.strictEqual(await bus.by_param('a', 'x'), 'a x')
  assert.strictEqual(await bus.by_param('b', 'x'), 'b x')
})

test('a call waits for a late handler', async () => {
  const { bus } = start()
  const early = bus.late('x')
  assert.strictEqual(await bus.run('register'), 'registered')
  assert.strictEqual(await early, 'late x')
})

test('a handler that the child removes is waited for again', async () => {
  const { bus } = start()
  await bus.run('register')
  assert.strictEqual(await bus.late('x'), 'late x')
  await bus.run('unregister')
  const waiting = bus.late('y')
  assert.strictEqual(await Promise.race([waiting, bus.echo_string('nobody')]), 'nobody')
  await bus.run('register')
  assert.strictEqual(await waiting, 'late y')
})

test('a request without a handler is answered at once', async () => {
  const { child } = start()
  const answered = new Promise((done) => child.on('message', (m) => m.type === 'error' && done(m)))
  child.send({ type: 'request', slotName: 'late', id: 'mine', data: 'x', param: 'p' })
  const error = await answered
  assert.strictEqual(error.id, 'mine')
  assert.strictEqual(error.param, 'p')
  assert.match(error.message, /no handler for slot late with param p/)
})

test('ten megabytes go both ways', async () => {
  const { bus } = start()
  const text = 'abcdefghij'.repeat(1000000)
  assert.ok((await bus.echo_string(text)) === text)
})

test('ten thousand calls at once are all answered', async () => {
  const { bus } = start()
  const calls = Array.from({ length: 10000 }, (_, i) => bus.echo_integer(i))
  const answers = await Promise.all(calls)
  assert.ok(answers.every((x, i) => x === i))
})

test('the child calls the slots of its master', async () => {
  const { bus } = start()
  bus.ask_master.on((x) => `Node says ${x}`)
  assert.strictEqual(await bus.run('ask'), 'Node says from C++')
})

test('the child hears the errors of its master', async () => {
  const { bus } = start()
  bus.ask_master.on(() => Promise.reject(new Error('not now')))
  await assert.rejects(bus.run('ask'), /not now/)
})

test('the child reports progress while its call runs', async () => {
  const { bus } = start()
  const parts = []
  bus.progress.on((part) => {
    parts.push(part)
  })
  assert.strictEqual(await bus.run('progress'), 'done')
  assert.deepStrictEqual(parts, [0.25, 0.5, 1])
})

test('a child that dies in the middle closes the connection', async () => {
  const { child, bus } = start()
  await bus.nothing()
  const exited = once(child, 'exit')
  await assert.rejects(bus.run('die'), /REMOTE_CONNECTION_CLOSED/)
  assert.strictEqual((await exited)[1], 'SIGABRT')
})

test('disconnect ends the child with code 0', async () => {
  const { child, bus } = start()
  await bus.nothing()
  const exited = once(child, 'exit')
  child.disconnect()
  assert.deepStrictEqual(await exited, [0, null])
})

test('fork with execPath starts the echo_child of the examples', async () => {
  const child = fork('unused', { execPath: process.env.ECHO_CHILD })
  children.push(child)
  const events = { echo: slot(), multiply: slot(), fail: slot() }
  const bus = createEventBus({ events, channels: [new ChildChannel(child)] })
  assert.strictEqual(await bus.echo('hi'), 'hi')
  assert.strictEqual(await bus.multiply({ a: 6, b: 7 }), 42)
  await assert.rejects(bus.fail('no luck'), /no luck/)
})

test('messages that are not of the bus are skipped', async () => {
  const { child, bus } = start()
  child.send('hello')
  child.send({ type: 'other' })
  child.send({ type: 'error', text: 'of somebody else' })
  child.send({ cmd: 'NODE_SOMETHING' })
  assert.strictEqual(await bus.echo_string('fine'), 'fine')
})

test('a handle that is passed to the child is refused, and it goes on', async () => {
  const { child, bus } = start()
  await bus.nothing()
  const server = require('node:net').createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  child.send({ other: 1 }, server)
  assert.strictEqual(await bus.echo_string('fine'), 'fine')
  server.close()
})

test('another serialization is refused with what to do', async () => {
  const { child } = start({ serialization: 'advanced' })
  const [code] = await once(child, 'close')
  assert.strictEqual(code, 1)
  assert.match(child.errors, /serialization 'advanced': start this program with serialization: 'json'/)
})

test('a message of the bus that cannot be one ends the child, which says why', async () => {
  const { child, bus } = start()
  await bus.nothing()
  child.send({ type: 'request', slotName: 'nothing' })
  const [code] = await once(child, 'close')
  assert.strictEqual(code, 1)
  assert.match(child.errors, /a request without an id/)
})
