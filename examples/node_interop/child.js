'use strict'
// A child of a cluster_channel master: ts-event-bus over Node's own IPC, and nothing of cluster_channel's.

const { createEventBus, slot, GenericChannel } = require('ts-event-bus')

class ParentChannel extends GenericChannel {
  constructor() {
    super()
    process.on('message', (message) => this._messageReceived(message))
    process.on('disconnect', () => this._disconnected())
    this._connected()
  }

  send(message) {
    // The callback keeps a master that has gone from being an error here: 'disconnect' tells.
    if (process.connected) process.send(message, () => {})
  }
}

const master = createEventBus({
  events: { count_words: slot(), progress: slot() },
  channels: [new ParentChannel()],
})

master.count_words.on(({ text }) => {
  const words = text.split(/\s+/).filter(Boolean).length
  console.log(`counted ${words} words`) // forwarded by the master
  return { words, language: 'JavaScript' }
})
