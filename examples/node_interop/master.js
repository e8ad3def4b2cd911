'use strict'
// A Node master of a C++ child: node master.js PATH_OF_THE_PROGRAM

const { spawn } = require('node:child_process')
const { createEventBus, slot, GenericChannel } = require('ts-event-bus')

class ChildChannel extends GenericChannel {
  constructor(child) {
    super()
    this.child = child
    child.on('message', (message) => this._messageReceived(message))
    child.on('disconnect', () => this._disconnected())
    child.on('error', (error) => this._error(error))
    this._connected()
  }

  send(message) {
    this.child.send(message)
  }
}

const child = spawn(process.argv[2], [], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
const node = createEventBus({ events: { count_words: slot() }, channels: [new ChildChannel(child)] })

node.count_words({ text: 'to be or not to be' }).then(
  ({ words, language }) => {
    console.log(`${words} words, counted in ${language}`)
    child.disconnect()
  },
  (error) => {
    console.error(error)
    process.exitCode = 1
    child.kill()
  },
)
