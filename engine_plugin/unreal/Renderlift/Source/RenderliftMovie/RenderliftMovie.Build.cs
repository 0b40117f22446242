// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0

using UnrealBuildTool;

public class RenderliftMovie : ModuleRules
{
	public RenderliftMovie(ReadOnlyTargetRules Target) : base(Target)
	{
		PCHUsage = PCHUsageMode.UseExplicitOrSharedPCHs;
		CppStandard = CppStandardVersion.Cpp20;
		PublicDependencyModuleNames.AddRange(new string[] { "Core", "CoreUObject", "Engine", "MovieRenderPipelineCore" });
		PrivateDependencyModuleNames.AddRange(new string[] { "ImageWriteQueue", "LevelSequence", "MovieScene", "Renderlift", "TimeManagement" });
	}
}
