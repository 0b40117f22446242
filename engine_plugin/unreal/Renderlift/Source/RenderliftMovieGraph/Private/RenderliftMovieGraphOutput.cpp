// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0

#include "RenderliftMovieGraphOutput.h"

#include "RenderliftCapture.h"

#define LOCTEXT_NAMESPACE "Renderlift"

#if WITH_EDITOR
FText URenderliftMovieGraphOutput::GetNodeTitle(const bool bGetDescriptive) const
{
	return LOCTEXT("GraphNode", "Renderlift");
}
#endif

void URenderliftMovieGraphOutput::OnReceiveImageDataImpl(UMovieGraphPipeline* InPipeline,
	UE::MovieGraph::FMovieGraphOutputMergerFrame* InRawFrameData, const TSet<FMovieGraphRenderDataIdentifier>& InMask)
{
}

bool URenderliftMovieGraphOutput::IsFinishedWritingToDiskImpl() const
{
	return FRenderliftCapture::Get().IsSettled();
}

#undef LOCTEXT_NAMESPACE
