// The scenarios of a provider of Vercel's AI SDK.

import { generateText, isStepCount, jsonSchema, streamText, tool } from 'ai'
import { CALL, DESCRIPTION, PARAMETERS, SAID, WEATHER } from './scenarios.mjs'

// `model` and `broke` are models of the provider; `named` is what each call says of the user.
export function aiSdkScenarios(model, broke, named = {}) {
  const plain = async (from) => ({ text: (await generateText({ model: from, prompt: SAID, ...named })).text })
  const streamed = async (from) => {
    const parts = []
    for await (const part of streamText({ model: from, prompt: SAID, ...named }).textStream) parts.push(part)
    return { parts }
  }
  // The SDK itself makes the round: the model calls the tool, is told its result, and answers.
  const called = async (generate) => {
    const calls = []
    const get_weather = tool({
      description: DESCRIPTION,
      inputSchema: jsonSchema(PARAMETERS),
      execute: async (input) => {
        calls.push(input)
        return WEATHER
      },
    })
    const text = await generate({ model, prompt: CALL, tools: { get_weather }, stopWhen: isStepCount(3), ...named })
    return { name: 'get_weather', arguments: calls.length === 1 ? calls[0] : calls, text }
  }
  return {
    plain: () => plain(model),
    streamed: () => streamed(model),
    tool: () => called(async (asked) => (await generateText(asked)).text),
    tool_streamed: () => called(async (asked) => await streamText(asked).text),
    top_up: () => plain(broke),
    top_up_streamed: () => streamed(broke),
  }
}
