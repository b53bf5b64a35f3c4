// What every client is asked to do, and how it reports: as python/scenarios.py beside this folder says.

export const { TOLLGATE_URL: URL, TOLLGATE_KEY: KEY, TOLLGATE_BROKE_KEY: BROKE_KEY } = process.env
export const { TOLLGATE_MODEL: MODEL, TOLLGATE_USER: USER } = process.env

export const SAID = 'Hello there, gateway'
export const CALL = 'call get_weather {"city": "Paris"}'
export const WEATHER = '21 degrees'
export const DESCRIPTION = 'The weather in a city.'
export const PARAMETERS = {
  type: 'object',
  properties: { city: { type: 'string' } },
  required: ['city'],
  additionalProperties: false,
}
export const TOOL = {
  type: 'function',
  function: { name: 'get_weather', description: DESCRIPTION, parameters: PARAMETERS },
}

// Run every scenario; one that fails reports its error and keeps nobody from running.
export async function report(scenarios) {
  const told = {}
  for (const [name, scenario] of Object.entries(scenarios)) {
    try {
      told[name] = await scenario()
    } catch (error) {
      told[name] = { error: String(error.stack ?? error) }
    }
  }
  console.log(JSON.stringify(told))
}

// The scenarios of an SDK that is shaped like OpenAI's: `client` and `broke` are its clients, `named` says who the user is.
export function openaiScenarios(client, broke, named) {
  const chat = { model: MODEL, ...named, messages: [{ role: 'user', content: SAID }] }

  const plain = async (from) => {
    const answer = await from.chat.completions.create(chat)
    return { text: answer.choices[0].message.content }
  }
  const streamed = async (from) => {
    const parts = []
    for await (const chunk of await from.chat.completions.create({ ...chat, stream: true })) {
      const content = chunk.choices[0]?.delta?.content
      if (content) parts.push(content)
    }
    return { parts }
  }
  const once = async (asked) => (await client.chat.completions.create(asked)).choices[0].message
  const fromStream = async (asked) => {
    const message = { role: 'assistant', content: '', tool_calls: [] }
    for await (const chunk of await client.chat.completions.create({ ...asked, stream: true })) {
      const delta = chunk.choices[0]?.delta ?? {}
      message.content += delta.content ?? ''
      for (const part of delta.tool_calls ?? []) {
        const call = (message.tool_calls[part.index] ??= { ...part, function: { name: '', arguments: '' } })
        call.function.name += part.function.name ?? ''
        call.function.arguments += part.function.arguments ?? ''
      }
    }
    return message
  }
  // A whole round: the model calls the tool, is told its result, and answers.
  const called = async (complete) => {
    const asked = { ...chat, tools: [TOOL], messages: [{ role: 'user', content: CALL }] }
    const message = await complete(asked)
    const [call] = message.tool_calls
    asked.messages.push(message, { role: 'tool', tool_call_id: call.id, content: WEATHER })
    const { content: text } = await complete({ ...asked })
    return { name: call.function.name, arguments: JSON.parse(call.function.arguments), text }
  }
  return {
    plain: () => plain(client),
    streamed: () => streamed(client),
    tool: () => called(once),
    tool_streamed: () => called(fromStream),
    top_up: () => plain(broke),
    top_up_streamed: () => streamed(broke),
  }
}
